// window.cpp — sliding-window arithmetic.
#include "core/window.h"

#include <algorithm>

namespace fc {
namespace {

std::string pair_of(const Pair& p) {
  return to_text(Shape(p.begin(), p.end()));
}

// Pads so that stride 1 keeps the extent and stride s gives ceil(extent / s); the odd cell goes to the end
// (same_upper, TensorFlow's and Keras's rule) or to the start (same_lower, ONNX's other rule).
void pad_same(Window& w, bool lower) {
  const int64_t positions = (w.extent + w.stride - 1) / w.stride;
  const int64_t total = std::max<int64_t>((positions - 1) * w.stride + w.effective_kernel() - w.extent, 0);
  w.pad_before = lower ? total - total / 2 : total / 2;
  w.pad_after = total - w.pad_before;
}

}  // namespace

void check_pair(const std::string& op, const char* name, const Pair& value, int64_t lowest) {
  for (const int64_t v : value) {
    FC_CHECK(v >= lowest, "[", op, "] ", name, " must be at least ", lowest, ": expected ", name,
             " >= ", lowest, ", got ", v, " in ", name, "=", pair_of(value), ". Use ", lowest, " or more.");
    FC_CHECK(v <= kMaxWindowNumber, "[", op, "] ", name,
             " is too large and its sizes would overflow: expected ", name, " <= ", kMaxWindowNumber,
             ", got ", v, " in ", name, "=", pair_of(value), ". Use a smaller number.");
  }
}

void check_images(const std::string& op, const Shape& x) {
  FC_CHECK(x.size() == 4, "[", op, "] x must have 4 dimensions (N, H, W, C): expected 4, got ", x.size(),
           " (x.shape=", to_text(x), "). Add the missing axis, e.g. x[None] for one image.");
  FC_CHECK(x[0] >= 0, "[", op, "] x batch must not be negative: expected N >= 0, got x.shape=", to_text(x),
           ".");
  static const char* const kAxes[] = {"", "height", "width", "channels"};
  for (int axis = 1; axis < 4; ++axis) {
    FC_CHECK(x[axis] >= 1, "[", op, "] x ", kAxes[axis], " must be at least 1: expected x.shape[", axis,
             "] >= 1, got x.shape=", to_text(x), ". Only the batch may be empty.");
    FC_CHECK(axis == 3 || x[axis] <= kMaxWindowNumber, "[", op, "] x ", kAxes[axis],
             " is too large: expected x.shape[", axis, "] <= ", kMaxWindowNumber,
             ", got x.shape=", to_text(x), ". Split the image.");
  }
  checked_count(op, "x", x);
}

std::array<Window, 2> resolve_windows(const std::string& op, const char* kernel_name, const Pair& extent,
                                      const Pair& kernel, const Pair& stride, const Padding& padding,
                                      const Pair& dilation, bool ceil_mode) {
  check_pair(op, kernel_name, kernel, 1);
  check_pair(op, "stride", stride, 1);
  check_pair(op, "dilation", dilation, 1);
  if (padding.mode == PaddingMode::explicit_pads) {
    for (const Pair& side : padding.pads) check_pair(op, "padding", side, 0);
  }
  std::array<Window, 2> windows;
  for (int axis = 0; axis < 2; ++axis) {
    Window& w = windows[axis];
    w = {extent[axis], kernel[axis], stride[axis], dilation[axis]};
    checked_product(op, "dilation", w.kernel, w.dilation);
    if (padding.mode == PaddingMode::explicit_pads) {
      w.pad_before = padding.pads[axis][0];
      w.pad_after = padding.pads[axis][1];
    } else if (padding.mode != PaddingMode::valid) {
      pad_same(w, padding.mode == PaddingMode::same_lower);
    }
  }
  const Pair effective = {windows[0].effective_kernel(), windows[1].effective_kernel()};
  const Pair padded = {windows[0].padded_extent(), windows[1].padded_extent()};
  const bool fits = ceil_mode ? output_extent(windows[0], true) >= 1 && output_extent(windows[1], true) >= 1
                              : effective[0] <= padded[0] && effective[1] <= padded[1];
  FC_CHECK(fits, "[", op, "] ", kernel_name, " ", pair_of(kernel), " larger than padded input ",
           pair_of(padded), ": expected (", kernel_name, " - 1) * dilation + 1 <= input + padding, got ",
           pair_of(effective), " > ", pair_of(padded), " (input ", pair_of(extent),
           ", dilation=", pair_of(dilation), "). Use a smaller ", kernel_name, " or more padding.");
  return windows;
}

int64_t output_extent(const Window& w, bool ceil_mode) {
  const int64_t reach = w.padded_extent() - w.effective_kernel();
  if (!ceil_mode) return reach / w.stride + 1;
  const int64_t positions = (reach + w.stride - 1) / w.stride + 1;
  // A last window that would start in the padding after the image sees nothing and is dropped.
  return (positions - 1) * w.stride >= w.extent + w.pad_before ? positions - 1 : positions;
}

bool every_window_sees_a_cell(const Window& w, int64_t positions) {
  if (w.dilation <= w.extent) return true;
  // A window that starts at s < 0 has its first tap at or after cell 0 on cell s mod dilation.
  int64_t first_tap = (w.dilation - w.pad_before % w.dilation) % w.dilation;
  const int64_t step = w.stride % w.dilation;
  int64_t start = -w.pad_before;
  for (int64_t i = 0; i < positions && start < 0; ++i, start += w.stride) {
    if (first_tap >= w.extent) return false;
    first_tap += step;
    if (first_tap >= w.dilation) first_tap -= w.dilation;
  }
  return true;
}

std::string pair_text(char letter, const Pair& value) {
  std::string text = letter + std::to_string(value[0]);
  if (value[1] != value[0]) text += "x" + std::to_string(value[1]);
  return text;
}

std::string pads_text(const std::array<Window, 2>& windows) {
  const int64_t pads[] = {windows[0].pad_before, windows[0].pad_after, windows[1].pad_before,
                          windows[1].pad_after};
  std::string text = "p" + std::to_string(pads[0]);
  if (std::all_of(pads, pads + 4, [&](int64_t p) { return p == pads[0]; })) return text;
  for (int i = 1; i < 4; ++i) text += "_" + std::to_string(pads[i]);
  return text;
}

}  // namespace fc
