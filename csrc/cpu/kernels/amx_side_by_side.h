// amx_side_by_side.h — backward input with a horizontal stride: neighbouring pixels of dx as columns of one
// product.
//
// Math       as conv2d_backward_input.cpp. stride_w neighbours belong to different phases, but what they read
//            of dy overlaps: all of it is one window, in which the filter of a pixel has zeros where it does
//            not reach
// Blocking   as amx_conv.h, one product per vertical phase; column = pixel · C + channel, so the results of
//            a window are neighbours in memory, as are gate and addend, and dy is split once, not stride_w
//            times
// Numerics   as amx_conv.h; products with zeros change nothing
// Workspace  as amx_arranged.h
#pragma once

#include "cpu/kernels/amx_arranged.h"
#include "cpu/kernels/phases.h"

namespace fc::cpu::FC_ISA {

// Of many channels, the products with zeros would take longer than what this saves.
inline bool suits_side_by_side(const Conv2dSpec& s) {
  return s.groups == 1 && s.stride_w > 1 && s.S >= s.stride_w && s.dilation_w == 1 && s.W % s.stride_w == 0 &&
         s.stride_w * s.C <= 2 * kPairLines && s.K >= kTileLines;
}

class SideBySide {
 public:
  explicit SideBySide(const Conv2dSpec& s) : s_(s), window_(phase_axis(forward_axis_w(s), 0).axis) {
    int64_t last = window_.first;
    for (int64_t i = 0; i < s.stride_w; ++i) {
      const Axis axis = phase_axis(forward_axis_w(s), i).axis;
      window_.first = max_of(window_.first, axis.first);
      last = min_of(last, axis.cell(0, axis.taps - 1));
    }
    window_.taps = window_.first - last + 1;
  }

  // The pixels of lines h, h + stride_h, …
  AmxConv<AmxGrid> problem(int64_t h, const float* dy, const Epilogue<float>& epilogue, float* dx) const {
    const ImageRows<float> rows(dy, s_.N, phase_axis(forward_axis_h(s_), h).axis, window_, s_.K, s_.K, false);
    const int64_t line = s_.W * s_.C, columns = s_.stride_w * s_.C;
    return {{rows, dx + h * line, s_.H * line, s_.stride_h * line, columns, 1, columns, {}, epilogue},
            AmxGrid(rows, amx_parts(s_.numerics)),
            {}};
  }

  // to[tap][filter][pixel][channel], taps in the order of the grid's runs.
  void arrange(int64_t h, const AmxGrid& grid, const float* w, float* to) const {
    const PhaseAxis lines = phase_axis(forward_axis_h(s_), h);
    grid.for_each_tap([&](int64_t r, int64_t t) {
      for (int64_t i = 0; i < s_.stride_w; ++i) {
        const PhaseAxis pixel = phase_axis(forward_axis_w(s_), i);
        const int64_t tap = t - (window_.first - pixel.axis.first);
        const bool reaches = 0 <= tap && tap < pixel.axis.taps;
        const int64_t row = lines.first_tap + r * lines.tap_stride;
        const float* from = w + (row * s_.S + pixel.first_tap + tap * pixel.tap_stride) * s_.C * s_.K;
        for (int64_t k = 0; k < s_.K; ++k) {
          float* cell = to + (k * s_.stride_w + i) * s_.C;
          for (int64_t c = 0; c < s_.C; ++c) cell[c] = reaches ? from[c * s_.K + k] : 0;
        }
      }
      to += s_.K * s_.stride_w * s_.C;
    });
  }

  // f(h) for the vertical phases with taps.
  template <class F>
  void for_each_phase(const F& f) const {
    for (int64_t h = 0; h < min_of(s_.stride_h, s_.H); ++h) {
      if (phase_axis(forward_axis_h(s_), h).axis.taps > 0) f(h);
    }
  }

 private:
  const Conv2dSpec& s_;
  Axis window_;
};

inline size_t side_by_side_workspace(const Conv2dSpec& s, int threads) {
  const SideBySide all(s);
  size_t bytes = 0;
  all.for_each_phase([&](int64_t h) {
    bytes = either_workspace(bytes, arranged_conv_workspace(all.problem(h, nullptr, {}, nullptr), threads));
  });
  return bytes;
}

inline bool side_by_side(const Conv2dSpec& s, const float* dy, const float* w,
                         const Epilogue<float>& epilogue, float* dx, const Context& context) {
  const SideBySide all(s);
  bool done = true;
  all.for_each_phase([&](int64_t h) {
    const AmxConv<AmxGrid> c = all.problem(h, dy, epilogue, dx);
    done = done && arranged_conv(c, context, [&](float* to) { all.arrange(h, c.grid, w, to); });
  });
  return done;
}

}  // namespace fc::cpu::FC_ISA
