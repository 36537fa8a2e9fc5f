// window.h — sliding-window arithmetic: output extents and padding. The only copy of these formulas.
#pragma once

#include <array>
#include <string>

#include "core/check.h"

namespace fc {

using Pair = std::array<int64_t, 2>;  // (height, width)

enum class PaddingMode : uint8_t { explicit_pads, valid, same_upper, same_lower };

struct Padding {
  PaddingMode mode = PaddingMode::explicit_pads;
  std::array<Pair, 2> pads{};  // ((top, bottom), (left, right)), read in mode explicit_pads only
};

// One axis of a sliding window.
struct Window {
  int64_t extent;  // input cells
  int64_t kernel;  // taps
  int64_t stride;
  int64_t dilation;  // 1 = none
  int64_t pad_before = 0, pad_after = 0;

  int64_t effective_kernel() const { return (kernel - 1) * dilation + 1; }
  int64_t padded_extent() const { return extent + pad_before + pad_after; }
};

// Largest number a caller may give for a stride, pad, dilation or extent: sums of a few stay far inside
// int64.
inline constexpr int64_t kMaxWindowNumber = (int64_t{1} << 31) - 1;

// Checks one named pair: every number >= lowest and <= kMaxWindowNumber.
void check_pair(const std::string& op, const char* name, const Pair& value, int64_t lowest);

// The windows of both axes with their pads resolved. `kernel_name` is what the user calls the window
// ("kernel", "pool_size").
std::array<Window, 2> resolve_windows(const std::string& op, const char* kernel_name, const Pair& extent,
                                      const Pair& kernel, const Pair& stride, const Padding& padding,
                                      const Pair& dilation, bool ceil_mode = false);

// Checks the rank and extents of a channels-last image batch (N,H,W,C): N >= 0, the others >= 1, all products
// in int64.
void check_images(const std::string& op, const Shape& x);

// Whether each of the first `positions` windows has a tap on a real cell. Dilation can jump over a small
// image.
bool every_window_sees_a_cell(const Window& window, int64_t positions);

// "s2", "s2x1": a pair in a problem's text; "p1", "p0_1_0_1" (top, bottom, left, right): pads.
std::string pair_text(char letter, const Pair& value);
std::string pads_text(const std::array<Window, 2>& windows);

// Number of window positions; ceil_mode counts a last partial window that starts inside the input or its
// leading pad.
int64_t output_extent(const Window& window, bool ceil_mode);

}  // namespace fc
