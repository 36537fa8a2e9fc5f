// conv2d_pool_spec.cpp — the two problems in one.
#include "core/conv2d_pool_spec.h"

namespace fc {

Conv2dPoolSpec Conv2dPoolSpec::make(const Conv2dSpec& conv) {
  Conv2dPoolSpec s;
  s.dtype = conv.dtype;
  s.conv = conv;
  s.pool =
      Pool2dSpec::make(conv.dtype, PoolKind::max, conv.shape("y"), {2, 2}, {2, 2}, {}, {1, 1}, false, false);
  return s;
}

bool Conv2dPoolSpec::find_shape(std::string_view name, Shape& out) const {
  for (const char* read : {"x", "w", "bias", "mean", "scale", "shift"}) {
    if (name == read) {
      out = conv.shape(name);
      return true;
    }
  }
  if (name != "y" && name != "index") return false;
  out = pool.shape(name);
  return true;
}

std::string Conv2dPoolSpec::text() const {
  return conv.text() + "_pool2x2";
}

double Conv2dPoolSpec::flops(std::string_view) const {
  return conv.flops("conv2d_forward") + pool.flops("pool2d_forward");
}

}  // namespace fc
