// conv2d_pool_spec.h — a 2-D convolution of whose results only the maxima of windows of 2 x 2 are kept.
#pragma once

#include "core/conv2d_spec.h"
#include "core/pool2d_spec.h"

namespace fc {

// Tensors: x, w, bias, mean, scale and shift are the convolution's, y and index the pooling's: windows side by
// side, a last line or column that fills none is left out.
struct Conv2dPoolSpec final : Spec {
  Conv2dSpec conv;
  Pool2dSpec pool;

  static Conv2dPoolSpec make(const Conv2dSpec& conv);

  std::string text() const override;
  double flops(std::string_view kernel) const override;

 private:
  bool find_shape(std::string_view name, Shape& out) const override;
};

}  // namespace fc
