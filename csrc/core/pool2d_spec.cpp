// pool2d_spec.cpp — the rules of 2-D pooling.
#include "core/pool2d_spec.h"

namespace fc {
namespace {

constexpr const char* kNames[] = {"max", "min", "avg", "sum"};

// Whether every window has a real cell. Pads are smaller than the window, so only taps that step over a whole
// image (dilation > extent) can miss it.
bool every_window_has_a_cell(const Window& w, int64_t positions) {
  if (w.dilation <= w.extent) return true;
  if (positions > w.extent * w.kernel) return false;  // a cell can be reached by `kernel` windows at most
  for (int64_t p = 0; p < positions; ++p) {
    const int64_t start = p * w.stride - w.pad_before;
    const int64_t first_tap = start >= 0 ? 0 : (-start + w.dilation - 1) / w.dilation;
    if (first_tap >= w.kernel || start + first_tap * w.dilation >= w.extent) return false;
  }
  return true;
}

}  // namespace

Pool2dSpec Pool2dSpec::make(DType dtype, PoolKind kind, const Shape& x, const Pair& pool_size,
                            const Pair& stride, const Padding& padding, const Pair& dilation, bool ceil_mode,
                            bool count_include_pad) {
  const std::string op = std::string(kNames[static_cast<int>(kind)]) + "_pool2d";
  check_images(op, x);
  const auto windows =
      resolve_windows(op, "pool_size", {x[1], x[2]}, pool_size, stride, padding, dilation, ceil_mode);
  for (const Window& w : windows) {
    // A wider pad would give windows without one real cell, and a maximum of nothing.
    FC_CHECK(w.pad_before < w.effective_kernel() && w.pad_after < w.effective_kernel(), "[", op,
             "] padding must be smaller than the window: expected padding < (pool_size - 1) * dilation + 1, "
             "got padding=(",
             w.pad_before, ", ", w.pad_after, "), pool_size=", w.kernel, ", dilation=", w.dilation,
             ". Use less padding.");
    FC_CHECK(every_window_sees_a_cell(w, output_extent(w, ceil_mode)), "[", op,
             "] a window sees no real cell: expected every window to have a tap inside the input, got input "
             "extent ",
             w.extent, ", pool_size=", w.kernel, ", dilation=", w.dilation, ", padding=(", w.pad_before, ", ",
             w.pad_after, "). Use less padding or dilation.");
  }
  for (int axis = 0; axis < 2; ++axis) {
    FC_CHECK(
        every_window_has_a_cell(windows[axis], output_extent(windows[axis], ceil_mode)), "[", op,
        "] every window must cover a real cell: expected padding and dilation that leave none without, got "
        "pool_size=",
        windows[axis].kernel, ", dilation=", windows[axis].dilation, ", padding=(", windows[axis].pad_before,
        ", ", windows[axis].pad_after, ") on an extent of ", windows[axis].extent,
        ". Use less padding or dilation.");
  }
  Pool2dSpec s;
  s.dtype = dtype;
  s.kind = kind;
  s.N = x[0], s.H = x[1], s.W = x[2], s.C = x[3];
  s.R = pool_size[0], s.S = pool_size[1];
  s.P = output_extent(windows[0], ceil_mode), s.Q = output_extent(windows[1], ceil_mode);
  s.stride_h = stride[0], s.stride_w = stride[1], s.dilation_h = dilation[0], s.dilation_w = dilation[1];
  s.pad_top = windows[0].pad_before, s.pad_bottom = windows[0].pad_after;
  s.pad_left = windows[1].pad_before, s.pad_right = windows[1].pad_after;
  s.ceil_mode = ceil_mode;
  s.count_include_pad = count_include_pad;
  checked_count(op, "y", {s.N, s.P, s.Q, s.C});
  return s;
}

bool Pool2dSpec::find_shape(std::string_view name, Shape& out) const {
  if (name == "x") {
    out = {N, H, W, C};
  } else if (name == "y" || name == "index") {
    out = {N, P, Q, C};
  } else {
    return false;
  }
  return true;
}

std::string Pool2dSpec::text() const {
  std::array<Window, 2> windows;
  windows[0] = {H, R, stride_h, dilation_h, pad_top, pad_bottom};
  windows[1] = {W, S, stride_w, dilation_w, pad_left, pad_right};
  return text_of(kNames[static_cast<int>(kind)], "_N", N, "H", H, "W", W, "C", C, "_R", R, "S", S, "_",
                 pair_text('s', {stride_h, stride_w}), pads_text(windows),
                 pair_text('d', {dilation_h, dilation_w}), ceil_mode ? "_ceil" : "",
                 count_include_pad ? "_countpad" : "");
}

double Pool2dSpec::flops(std::string_view) const {
  return static_cast<double>(N * P * Q) * static_cast<double>(C * R * S);
}

}  // namespace fc
