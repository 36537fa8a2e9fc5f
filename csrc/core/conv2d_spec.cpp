// conv2d_spec.cpp — the rules of a 2-D convolution.
#include "core/conv2d_spec.h"

namespace fc {
namespace {

void check_filter(const std::string& op, const Shape& w, const char* axes) {
  FC_CHECK(w.size() == 4, "[", op, "] w must have 4 dimensions ", axes, ": expected 4, got ", w.size(),
           " (w.shape=", to_text(w), "). Reshape the filter.");
  static const char* const kNames[] = {"height", "width", "in channels", "out channels"};
  for (int axis = 0; axis < 4; ++axis) {
    FC_CHECK(w[axis] >= 1, "[", op, "] w ", kNames[axis], " must be at least 1: expected w.shape[", axis,
             "] >= 1, got w.shape=", to_text(w), ". Use a filter without empty axes.");
  }
  checked_count(op, "w", w);
}

// `in` channels are split over the groups; each filter sees in / groups of them (`per_group` = what w holds).
void check_groups(const std::string& op, int64_t groups, const char* in_name, int64_t in,
                  const char* out_name, int64_t out) {
  check_pair(op, "groups", {groups, groups}, 1);
  FC_CHECK(in % groups == 0, "[", op, "] input channels must be divisible by groups: expected ", in_name,
           " % groups == 0, got ", in_name, "=", in, ", groups=", groups, ". Use a divisor of ", in, ".");
  FC_CHECK(out % groups == 0, "[", op, "] groups must divide the out channels ", out, ": expected ", out_name,
           " % groups == 0, got ", out_name, "=", out, ", groups=", groups, ". Use a divisor of ", out, ".");
}

}  // namespace

Conv2dSpec Conv2dSpec::make(DType dtype, const Shape& x, const Shape& w, const Pair& stride,
                            const Padding& padding, const Pair& dilation, int64_t groups,
                            const Activation& activation) {
  const std::string op = "conv2d";
  check_images(op, x);
  check_filter(op, w, "(R, S, C // groups, K)");
  check_groups(op, groups, "C", x[3], "K", w[3]);
  FC_CHECK(w[2] == x[3] / groups, "[", op, "] w has ", w[2], " in channels, x needs ", x[3] / groups,
           ": expected w.shape[2] == C // groups, got w.shape=", to_text(w), ", x.shape=", to_text(x),
           ", groups=", groups, ". Filters are (R, S, C // groups, K), images (N, H, W, C).");
  const auto windows = resolve_windows(op, "kernel", {x[1], x[2]}, {w[0], w[1]}, stride, padding, dilation);

  Conv2dSpec s;
  s.dtype = dtype;
  s.N = x[0], s.H = x[1], s.W = x[2], s.C = x[3];
  s.R = w[0], s.S = w[1], s.K = w[3];
  s.P = output_extent(windows[0], false), s.Q = output_extent(windows[1], false);
  s.stride_h = stride[0], s.stride_w = stride[1], s.dilation_h = dilation[0], s.dilation_w = dilation[1];
  s.pad_top = windows[0].pad_before, s.pad_bottom = windows[0].pad_after;
  s.pad_left = windows[1].pad_before, s.pad_right = windows[1].pad_after;
  s.groups = groups;
  s.activation = activation;
  checked_count(op, "y", {s.N, s.P, s.Q, s.K});
  return s;
}

Conv2dSpec Conv2dSpec::make_transpose(DType dtype, const Shape& x, const Shape& w, const Pair& stride,
                                      const Padding& padding, const Pair& output_padding,
                                      const Pair& dilation, int64_t groups) {
  const std::string op = "conv2d_transpose";
  check_images(op, x);
  check_filter(op, w, "(R, S, K // groups, C)");
  const int64_t filters = checked_product(op, "w", w[2], groups < 1 ? 1 : groups);
  check_groups(op, groups, "C", x[3], "K", filters);
  FC_CHECK(w[3] == x[3], "[", op, "] w has ", w[3], " in channels, x has ", x[3],
           ": expected w.shape[3] == C, got w.shape=", to_text(w), ", x.shape=", to_text(x),
           ". Filters of a transposed convolution are (R, S, K // groups, C).");
  check_pair(op, "stride", stride, 1);
  check_pair(op, "dilation", dilation, 1);
  check_pair(op, "output_padding", output_padding, 0);

  // The windows of the convolution that maps y (its input) to x (its output).
  std::array<Window, 2> windows;
  for (int axis = 0; axis < 2; ++axis) {
    Window& v = windows[axis];
    v = {0, w[axis], stride[axis], dilation[axis]};
    checked_product(op, "dilation", v.kernel, v.dilation);
    int64_t extra = output_padding[axis];
    FC_CHECK(extra < stride[axis], "[", op,
             "] output_padding must be smaller than the stride: expected output_padding < ", stride[axis],
             ", got output_padding=", extra, ". Use a smaller output_padding.");
    if (padding.mode == PaddingMode::explicit_pads) {
      check_pair(op, "padding", padding.pads[axis], 0);
      v.pad_before = padding.pads[axis][0];
      v.pad_after = padding.pads[axis][1];
    } else if (padding.mode != PaddingMode::valid) {
      // "same": y is exactly stride times x.
      FC_CHECK(extra == 0, "[", op,
               "] output_padding goes with explicit padding only: expected 0 with padding='same', got ",
               extra, ". Give the pads as numbers.");
      const int64_t total = v.effective_kernel() - v.stride;
      if (total >= 0) {
        v.pad_before = padding.mode == PaddingMode::same_lower ? total - total / 2 : total / 2;
        v.pad_after = total - v.pad_before;
      } else {
        extra = -total;
      }
    }
    const int64_t positions = x[1 + axis];
    v.extent = checked_product(op, "x", positions - 1, v.stride) + v.effective_kernel() - v.pad_before -
               v.pad_after + extra;
    FC_CHECK(v.extent >= 1 && v.extent <= kMaxWindowNumber, "[", op, "] output extent must be between 1 and ",
             kMaxWindowNumber,
             ": expected (x - 1) * stride - padding + (kernel - 1) * dilation + 1 + output_padding in "
             "this range, got ",
             v.extent, " on axis ", axis, " (x.shape=", to_text(x), ", padding=", v.pad_before, "+",
             v.pad_after, "). Use less padding.");
  }

  Conv2dSpec s;
  s.dtype = dtype;
  s.N = x[0], s.P = x[1], s.Q = x[2], s.K = x[3];
  s.R = w[0], s.S = w[1], s.C = filters;
  s.H = windows[0].extent, s.W = windows[1].extent;
  s.stride_h = stride[0], s.stride_w = stride[1], s.dilation_h = dilation[0], s.dilation_w = dilation[1];
  s.pad_top = windows[0].pad_before, s.pad_bottom = windows[0].pad_after;
  s.pad_left = windows[1].pad_before, s.pad_right = windows[1].pad_after;
  s.groups = groups;
  checked_count(op, "y", {s.N, s.H, s.W, s.C});
  return s;
}

bool Conv2dSpec::find_shape(std::string_view name, Shape& out) const {
  if (name == "x" || name == "gate" || name == "addend" || name == "normalized") {
    out = {N, H, W, C};
  } else if (name == "w") {
    out = {R, S, C / groups, K};
  } else if (name == "bias" || name == "mean" || name == "scale" || name == "shift") {
    out = {K};
  } else if (name == "batch_mean") {
    out = {C};
  } else if (name == "moments") {
    out = {2, K};
  } else if (name == "sums") {
    out = {2, C};
  } else if (name == "y" || name == "residual") {
    out = {N, P, Q, K};
  } else {
    return false;
  }
  return true;
}

std::string Conv2dSpec::text() const {
  std::array<Window, 2> windows;
  windows[0] = {H, R, stride_h, dilation_h, pad_top, pad_bottom};
  windows[1] = {W, S, stride_w, dilation_w, pad_left, pad_right};
  std::string text = text_of("N", N, "H", H, "W", W, "C", C, "_K", K, "R", R, "S", S, "_",
                             pair_text('s', {stride_h, stride_w}), pads_text(windows),
                             pair_text('d', {dilation_h, dilation_w}), "g", groups);
  if (activation.kind != ActivationKind::linear) text += std::string("_") + name_of(activation.kind);
  return text;
}

double Conv2dSpec::flops(std::string_view) const {
  return 2.0 * static_cast<double>(N * P * Q) * static_cast<double>(K * R * S * (C / groups));
}

}  // namespace fc
