// pool2d_spec.h — a 2-D pooling problem (max, min, average, sum; global pooling is a window as large as the
// image).
#pragma once

#include "core/spec.h"
#include "core/window.h"

namespace fc {

enum class PoolKind : uint8_t { max, min, avg, sum };

// Tensors: x (N,H,W,C), y (N,P,Q,C), index (N,P,Q,C): which tap won, r * S + s.
struct Pool2dSpec final : Spec {
  PoolKind kind;
  int64_t N, H, W, C, R, S, P, Q;
  int64_t stride_h, stride_w, dilation_h, dilation_w;
  int64_t pad_top, pad_bottom, pad_left, pad_right;
  bool ceil_mode;
  bool
      count_include_pad;  // avg only: padding cells count in the divisor (cells that ceil_mode adds never do)

  static Pool2dSpec make(DType dtype, PoolKind kind, const Shape& x, const Pair& pool_size,
                         const Pair& stride, const Padding& padding, const Pair& dilation, bool ceil_mode,
                         bool count_include_pad);

  std::string text() const override;
  double flops(std::string_view kernel) const override;

 private:
  bool find_shape(std::string_view name, Shape& out) const override;
};

}  // namespace fc
