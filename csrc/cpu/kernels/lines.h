// lines.h — convolutions of few input channels, a line of results at a time: what both passes share.
//
// The R lines of the image that a line of results reads are laid side by side, with the zeros of the padding,
// in a strip that stays in L1. There, tap (r, s) and channel c of position q are at q·step + offset(r, s, c):
// one pointer and a few constants reach everything, and the whole filter takes part in one pass.
#pragma once

#include "cpu/kernels/axis.h"
#include "cpu/kernels/finite.h"
#include "cpu/kernels/workspace.h"

namespace fc::cpu::FC_ISA {

template <class T>
struct Lines {
  const Conv2dSpec& s;
  Axis h, w;
  int64_t terms;  // taps times channels: the rows of the filter
  int64_t step;   // elements from one position's window to the next
  int64_t pitch;  // elements of one line of the strip

  explicit Lines(const Conv2dSpec& s)
      : s(s),
        h(forward_axis_h(s)),
        w(forward_axis_w(s)),
        terms(s.R * s.S * s.C),
        step(s.stride_w * s.C),
        pitch(((s.Q - 1) * s.stride_w + (s.S - 1) * s.dilation_w + 1) * s.C) {}

  int64_t count() const { return s.N * s.P; }
  bool has_edges() const { return h.has_edges() || w.has_edges(); }

  // offsets[i] of the filter's row i, in the order of w.
  void list_offsets(int64_t* offsets) const {
    for (int64_t r = 0; r < s.R; ++r) {
      for (int64_t t = 0; t < s.S; ++t) {
        for (int64_t c = 0; c < s.C; ++c) *offsets++ = r * pitch + t * s.dilation_w * s.C + c;
      }
    }
  }

  // The strip of line `i` of results.
  void fill_strip(const T* x, int64_t i, T* strip) const {
    const int64_t width = pitch / s.C;
    const int64_t begin = min_of(max_of(-w.first, 0), width),
                  end = max_of(min_of(s.W - w.first, width), begin);
    for (int64_t r = 0; r < s.R; ++r, strip += pitch) {
      const int64_t cell = h.cell(i % s.P, r);
      const bool inside = h.contains(cell);
      const int64_t from = inside ? begin * s.C : pitch, to = inside ? end * s.C : pitch;
      for (int64_t j = 0; j < from; ++j) strip[j] = T(0);
      if (from < to) {
        const T* line = x + ((i / s.P * s.H + cell) * s.W + w.first + begin) * s.C;
        std::memcpy(strip + from, line, static_cast<size_t>(to - from) * sizeof(T));
      }
      for (int64_t j = to; j < pitch; ++j) strip[j] = T(0);
    }
  }
};

}  // namespace fc::cpu::FC_ISA
