// amx_arranged.h — a convolution on AMX tiles whose filter is copied to the order of a window first.
//
// Math       as amx_conv.h
// Blocking   as amx_conv.h. A folded image (amx_folded.h) holds windows by columns; backward input reads the
//            taps of a row from the last to the first
// Numerics   as amx_conv.h, in that order
// Workspace  the filter, the picks, and amx_conv.h's
#pragma once

#include "cpu/kernels/amx_conv.h"

namespace fc::cpu::FC_ISA {

template <class Grid>
struct ArrangedWorkspace {
  float* filter;  // [group][run][depth][column]
  Pick* picks;
  WorkspaceCutter rest;

  ArrangedWorkspace(const AmxConv<Grid>& c, void* base) : rest(base) {
    filter = rest.take<float>(c.p.groups * c.grid.runs() * c.grid.run_depth() * c.p.columns);
    if constexpr (std::is_same_v<Grid, FoldedGrid>) picks = rest.take<Pick>(c.grid.most_picks());
  }
};

template <class Grid>
inline size_t arranged_conv_workspace(const AmxConv<Grid>& c, int threads) {
  return ArrangedWorkspace<Grid>(c, nullptr).rest.bytes() + amx_conv_workspace(c, threads);
}

template <class Grid>
inline void arrange_filter(const AmxConv<Grid>& c, float* to) {
  const AmxFilter& f = c.filter;
  for (int64_t group = 0; group < c.p.groups; ++group) {
    c.grid.for_each_tap([&](int64_t r, int64_t s) {
      const float* tap = f.w + group * f.group + f.first + r * f.step_h + s * f.step_w;
      for (int64_t d = 0; d < c.grid.channels; ++d) {
        for (int64_t j = 0; j < c.p.columns; ++j) *to++ = tap[d * f.depth_stride + j * f.line_stride];
      }
    });
  }
}

// arrange(to) writes the filter.
template <class Grid, class Arrange>
inline bool arranged_conv(AmxConv<Grid> c, const Context& context, const Arrange& arrange) {
  ArrangedWorkspace<Grid> w(c, context.workspace);
  arrange(w.filter);
  const int64_t run = c.grid.run_depth() * c.p.columns;
  c.filter = {w.filter, 1, c.p.columns, c.grid.runs() * run, 0, c.grid.runs_of_row() * run, run};
  if constexpr (std::is_same_v<Grid, FoldedGrid>) c.grid.prepare(w.picks);
  return amx_conv(c, {reinterpret_cast<void*>(w.rest.end()), context.threads});
}

template <class Grid>
inline bool arranged_conv(const AmxConv<Grid>& c, const Context& context) {
  return arranged_conv(c, context, [&](float* to) { arrange_filter(c, to); });
}

}  // namespace fc::cpu::FC_ISA
