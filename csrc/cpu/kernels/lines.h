// lines.h — convolutions of few input channels, a band of lines of results at a time: what both passes share.
//
// The lines of the image that a band of results reads are laid one behind the other, with the zeros of the
// padding, in a strip that stays in L1. There, tap (r, s) and channel c of position q of the band's line i
// are at i·line + q·step + offset(r, s, c): one pointer and a few constants reach everything.
#pragma once

#include "cpu/kernels/axis.h"
#include "cpu/kernels/finite.h"
#include "cpu/kernels/workspace.h"

namespace fc::cpu::FC_ISA {

inline constexpr int64_t kBandBytes = 16 << 10;  // results of a band: stay in L1 beside the strip

template <class T>
struct Lines {
  const Conv2dSpec& s;
  Axis h, w;
  int64_t terms;  // taps times channels: the rows of the filter
  int64_t step;   // elements from one position's window to the next
  int64_t pitch;  // elements of one line of the strip
  int64_t line;   // elements from one line's windows to the next line's
  int64_t bands;  // of an image

  explicit Lines(const Conv2dSpec& s)
      : s(s),
        h(forward_axis_h(s)),
        w(forward_axis_w(s)),
        terms(s.R * s.S * s.C),
        step(s.stride_w * s.C),
        pitch(((s.Q - 1) * s.stride_w + (s.S - 1) * s.dilation_w + 1) * s.C),
        line(s.stride_h * pitch),
        bands(min_of(ceil_div(s.P * s.Q * s.K * static_cast<int64_t>(sizeof(T)), kBandBytes), s.P)) {}

  int64_t count() const { return s.N * bands; }
  // In whole registers of filters, as what few of them cost.
  int64_t products() const { return s.N * s.P * s.Q * terms * round_up(s.K, kLanes<T>); }
  int64_t image_of(int64_t band) const { return band / bands; }
  Range lines_of(int64_t band) const { return part_of(s.P, bands, band % bands); }
  int64_t first_result(int64_t band) const {
    return (image_of(band) * s.P + lines_of(band).begin) * s.Q * s.K;
  }
  int64_t strip_size() const { return strip_lines(ceil_div(s.P, bands)) * pitch; }
  bool has_edges() const { return h.has_edges() || w.has_edges(); }

  // offsets[i] of the filter's row i, in the order of w.
  void list_offsets(int64_t* offsets) const {
    for (int64_t r = 0; r < s.R; ++r) {
      for (int64_t t = 0; t < s.S; ++t) {
        for (int64_t c = 0; c < s.C; ++c) *offsets++ = r * s.dilation_h * pitch + t * s.dilation_w * s.C + c;
      }
    }
  }

  void fill_strip(const T* x, int64_t band, T* strip) const {
    const T* const image = x + image_of(band) * s.H * s.W * s.C;
    const int64_t width = pitch / s.C, begin = min_of(max_of(-w.first, 0), width),
                  end = max_of(min_of(s.W - w.first, width), begin);
    const Range lines = lines_of(band);
    int64_t cell = h.cell(lines.begin, 0);
    for (int64_t i = strip_lines(lines.size()); i > 0; --i, ++cell, strip += pitch) {
      const bool inside = h.contains(cell);
      const int64_t from = inside ? begin * s.C : pitch, to = inside ? end * s.C : pitch;
      for (int64_t j = 0; j < from; ++j) strip[j] = T(0);
      if (from < to)
        std::memcpy(strip + from, image + (cell * s.W + w.first + begin) * s.C,
                    static_cast<size_t>(to - from) * sizeof(T));
      for (int64_t j = to; j < pitch; ++j) strip[j] = T(0);
    }
  }

 private:
  int64_t strip_lines(int64_t results) const {
    return (results - 1) * s.stride_h + (s.R - 1) * s.dilation_h + 1;
  }
};

}  // namespace fc::cpu::FC_ISA
