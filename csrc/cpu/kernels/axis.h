// axis.h — one spatial axis as the kernels walk it: which cell a position reads under a tap.
//
// Forward: cell = p·stride − pad + r·dilation, so step = stride and tap_step = dilation.
// Backward input: the pixels h = phase + i·stride of one phase are reached from the cells
// p = (h + pad − r·dilation) / stride. The taps with a whole p form an arithmetic sequence, over which p
// falls evenly: step = 1 and tap_step < 0.
#pragma once

#include "core/conv2d_spec.h"
#include "cpu/kernels/blocking.h"

namespace fc::cpu::FC_ISA {

struct Axis {
  int64_t cells;      // extent of what is read
  int64_t positions;  // extent of what is written
  int64_t taps;
  int64_t step;      // cells from one position's window to the next
  int64_t first;     // cell that tap 0 reads at position 0; may lie outside
  int64_t tap_step;  // cells from one tap to the next

  int64_t cell(int64_t position, int64_t tap) const { return position * step + first + tap * tap_step; }
  bool contains(int64_t cell) const { return 0 <= cell && cell < cells; }
  // Positions whose cell under `tap` lies inside.
  Range inside(int64_t tap) const {
    const int64_t at0 = first + tap * tap_step;
    const int64_t begin = at0 >= 0 ? 0 : min_of(ceil_step(-at0), positions);
    const int64_t end = at0 >= cells ? begin : max_of(min_of(ceil_step(cells - at0), positions), begin);
    return {begin, end};
  }
  // Positions whose whole window lies inside; never outside [0, positions].
  Range inside_all() const {
    const Range a = inside(0), b = inside(taps - 1);
    const int64_t begin = max_of(a.begin, b.begin);
    return {begin, max_of(min_of(a.end, b.end), begin)};
  }
  // The same window, its taps in the order of the cells they read.
  Axis ascending() const {
    return tap_step > 0 ? *this
                        : Axis{cells, positions, taps, step, first + (taps - 1) * tap_step, -tap_step};
  }
  bool has_edges() const { return inside_all().size() < positions; }
  // The taps whose cell no position before this one reads.
  Range newest() const {
    const int64_t count = min_of(step, taps);
    return tap_step > 0 ? Range{taps - count, taps} : Range{0, count};
  }

 private:
  int64_t ceil_step(int64_t distance) const { return step == 1 ? distance : ceil_div(distance, step); }
};

inline Axis forward_axis(int64_t cells, int64_t positions, int64_t taps, int64_t stride, int64_t dilation,
                         int64_t pad) {
  return {cells, positions, taps, stride, -pad, dilation};
}
inline Axis forward_axis_h(const Conv2dSpec& s) {
  return forward_axis(s.H, s.P, s.R, s.stride_h, s.dilation_h, s.pad_top);
}
inline Axis forward_axis_w(const Conv2dSpec& s) {
  return forward_axis(s.W, s.Q, s.S, s.stride_w, s.dilation_w, s.pad_left);
}

// One phase of the backward-input axis, and the filter taps it uses: first_tap, first_tap + tap_stride, …
struct PhaseAxis {
  Axis axis;
  int64_t first_tap, tap_stride;
};

inline PhaseAxis phase_axis(const Axis& forward, int64_t phase) {
  const int64_t stride = forward.step, dilation = forward.tap_step, pad = -forward.first;
  int64_t a = stride, b = dilation;  // Euclid
  while (b != 0) {
    const int64_t rest = a % b;
    a = b;
    b = rest;
  }
  const int64_t tap_stride = stride / a;
  PhaseAxis p{
      {forward.positions, ceil_div(forward.cells - phase, stride), 0, 1, 0, -(dilation / a)}, 0, tap_stride};
  for (int64_t r = 0; r < min_of(tap_stride, forward.taps); ++r) {
    if ((phase + pad - r * dilation) % stride == 0) {
      p.first_tap = r;
      p.axis.first = (phase + pad - r * dilation) / stride;
      p.axis.taps = ceil_div(forward.taps - r, tap_stride);
      break;
    }
  }
  return p;
}

}  // namespace fc::cpu::FC_ISA
