// layout_spec.cpp — the rules of moving cells.
#include "core/layout_spec.h"

namespace fc {

TransposeSpec TransposeSpec::make(DType dtype, const Shape& x, const Shape& axes) {
  Shape sources(x.size(), 0);
  bool valid = axes.size() == x.size();
  for (const int64_t axis : axes) {
    valid = valid && axis >= 0 && axis < static_cast<int64_t>(x.size());
    valid = valid && sources[static_cast<size_t>(axis)]++ == 0;
  }
  FC_CHECK(valid, "[transpose] axes must name every axis of x once: expected a permutation of 0 to ",
           static_cast<int64_t>(x.size()) - 1, ", got axes=", to_text(axes), ", x.shape=", to_text(x),
           ". List all axes in their new order.");
  checked_count("transpose", "x", x);
  TransposeSpec s;
  s.dtype = dtype;
  s.x_shape = x;
  s.axes = axes;
  for (const int64_t axis : axes) s.y_shape.push_back(x[static_cast<size_t>(axis)]);
  return s;
}

bool TransposeSpec::find_shape(std::string_view name, Shape& out) const {
  if (name == "x") {
    out = x_shape;
  } else if (name == "y") {
    out = y_shape;
  } else {
    return false;
  }
  return true;
}

std::string TransposeSpec::text() const {
  std::string text = "x";
  for (size_t i = 0; i < x_shape.size(); ++i) text += (i ? "x" : "") + std::to_string(x_shape[i]);
  text += "_to";
  for (const int64_t axis : axes) text += std::to_string(axis);
  return text;
}
double TransposeSpec::flops(std::string_view) const {
  return 0;
}

DepthSpec DepthSpec::make(DType dtype, const std::string& op, const Shape& x, int64_t taps, int64_t stride,
                          const Padding& padding, int64_t dilation, int64_t groups) {
  FC_CHECK(x.size() == 5, "[", op, "] x must have 5 dimensions (N, D, H, W, C): expected 5, got ", x.size(),
           " (x.shape=", to_text(x), "). Add the missing axis, e.g. x[None] for one volume.");
  FC_CHECK(x[0] >= 0 && x[1] >= 1 && x[2] >= 1 && x[3] >= 1 && x[4] >= 1, "[", op,
           "] volumes must have cells: expected D, H, W, C >= 1, got x.shape=", to_text(x),
           ". Only the batch may be empty.");
  FC_CHECK(groups >= 1 && x[4] % groups == 0, "[", op,
           "] input channels must be divisible by groups: expected C % groups == 0, got C=", x[4],
           " (x.shape=", to_text(x), "), groups=", groups, ". Use a divisor of ", x[4], ".");
  DepthSpec s;
  s.dtype = dtype;
  s.N = x[0], s.D = x[1], s.H = x[2], s.W = x[3], s.C = x[4], s.groups = groups;
  s.M = checked_product(op, "x", s.H, s.W);
  s.window = resolve_windows(op, "kernel", {s.D, 1}, {taps, 1}, {stride, 1}, padding, {dilation, 1})[0];
  s.P = output_extent(s.window, false);
  checked_count(op, "x", x);
  checked_count(op, "columns", {s.N, s.P, s.H, s.W, checked_product(op, "columns", taps, s.C)});
  return s;
}

bool DepthSpec::find_shape(std::string_view name, Shape& out) const {
  if (name == "x") {
    out = {N, D, H, W, C};
  } else if (name == "columns") {
    out = {N, P, H, W, window.kernel * C};
  } else {
    return false;
  }
  return true;
}

std::string DepthSpec::text() const {
  return text_of("N", N, "D", D, "H", H, "W", W, "C", C, "_T", window.kernel, "_s", window.stride, "p",
                 window.pad_before, "_", window.pad_after, "d", window.dilation, "g", groups);
}
double DepthSpec::flops(std::string_view kernel) const {
  return kernel == "depth_fold" ? static_cast<double>(N * P * M * C * window.kernel) : 0;
}

}  // namespace fc
