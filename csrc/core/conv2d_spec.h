// conv2d_spec.h — a 2-D convolution problem: the only place that validates one and infers its output extents.
#pragma once

#include "core/activation.h"
#include "core/numerics.h"
#include "core/spec.h"
#include "core/window.h"

namespace fc {

// Tensors: x, gate and addend (N,H,W,C), w (R,S,C/groups,K), bias, mean, scale and shift (K), y and residual
// (N,P,Q,K).
struct Conv2dSpec final : Spec {
  int64_t N, H, W, C, K, R, S, P, Q;
  int64_t stride_h, stride_w, dilation_h, dilation_w;
  int64_t pad_top, pad_bottom, pad_left, pad_right;
  int64_t groups;
  Activation
      activation;  // conv2d_forward applies it to y, conv2d_backward_input its gradient at `gate` to dx
  Numerics numerics = current_numerics();

  int64_t group_channels() const { return C / groups; }
  int64_t group_filters() const { return K / groups; }

  static Conv2dSpec make(DType dtype, const Shape& x, const Shape& w, const Pair& stride,
                         const Padding& padding, const Pair& dilation, int64_t groups,
                         const Activation& activation);
  // The convolution whose backward-input is conv2d_transpose of input `x` (N,P,Q,K) with filter `w`.
  static Conv2dSpec make_transpose(DType dtype, const Shape& x, const Shape& w, const Pair& stride,
                                   const Padding& padding, const Pair& output_padding, const Pair& dilation,
                                   int64_t groups);

  std::string text() const override;
  double flops(std::string_view kernel) const override;

 private:
  bool find_shape(std::string_view name, Shape& out) const override;
};

}  // namespace fc
