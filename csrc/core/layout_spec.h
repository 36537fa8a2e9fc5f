// layout_spec.h — problems that move cells to other places: permuted axes, neighbours along depth side by
// side.
#pragma once

#include "core/spec.h"
#include "core/window.h"

namespace fc {

// y[i[axes[0]], i[axes[1]], …] = x[i[0], i[1], …]. Tensors: x, y.
struct TransposeSpec final : Spec {
  Shape x_shape, y_shape, axes;  // axis k of y is axis axes[k] of x

  static TransposeSpec make(DType dtype, const Shape& x, const Shape& axes);
  std::string text() const override;
  double flops(std::string_view kernel) const override;

 private:
  bool find_shape(std::string_view name, Shape& out) const override;
};

// A window along depth, its taps side by side in the channels, so that a 3-D convolution is a 2-D one:
// columns[n,p,h,w,(g,t,c)] = x[n, p·stride − before + t·dilation, h, w, (g,c)], 0 outside of x.
// Tensors: x (N,D,H,W,C), columns (N,P,H,W,taps·C).
struct DepthSpec final : Spec {
  int64_t N, D, M, C, P, groups;  // M = H·W pixels of a slice
  int64_t H, W;
  Window window;

  static DepthSpec make(DType dtype, const std::string& op, const Shape& x, int64_t taps, int64_t stride,
                        const Padding& padding, int64_t dilation, int64_t groups);
  std::string text() const override;
  double flops(std::string_view kernel) const override;

 private:
  bool find_shape(std::string_view name, Shape& out) const override;
};

}  // namespace fc
