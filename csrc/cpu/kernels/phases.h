// phases.h — backward input with a stride: pixels with equal (h mod stride_h, w mod stride_w) use the same
// filter taps.
#pragma once

#include "cpu/kernels/axis.h"
#include "cpu/kernels/epilogue.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {

struct Phase {
  int64_t h, w;
  PhaseAxis axis_h, axis_w;
};

// f(phase) for every phase with taps. At most R x S of the stride_h x stride_w phases have any.
template <class F>
void for_each_phase(const Conv2dSpec& s, const F& f) {
  for (int64_t h = 0; h < min_of(s.stride_h, s.H); ++h) {
    const PhaseAxis axis_h = phase_axis(forward_axis_h(s), h);
    if (axis_h.axis.taps == 0) continue;
    for (int64_t w = 0; w < min_of(s.stride_w, s.W); ++w) {
      const PhaseAxis axis_w = phase_axis(forward_axis_w(s), w);
      if (axis_w.axis.taps > 0) f(Phase{h, w, axis_h, axis_w});
    }
  }
}

inline bool every_pixel_has_taps(const Conv2dSpec& s) {
  int64_t phases = 0;
  for_each_phase(s, [&](const Phase&) { ++phases; });
  return phases == min_of(s.stride_h, s.H) * min_of(s.stride_w, s.W);
}

// The pixels of phases without taps: sums of nothing. The others are written by their phase.
template <class T>
inline void fill_unreached(const Conv2dSpec& s, const Epilogue<T>& epilogue, T* dx, int threads) {
  if (every_pixel_has_taps(s)) return;
  parallel_for(threads, s.N * s.H, [&](int64_t line) {
    T* to = dx + line * s.W * s.C;
    for (int64_t i = 0; i < s.W * s.C; ++i) to[i] = T(0);
    epilogue.finish_gradient(to, s.W * s.C);
  });
}

}  // namespace fc::cpu::FC_ISA
