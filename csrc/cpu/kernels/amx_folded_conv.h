// amx_folded_conv.h — a convolution of few channels on AMX tiles, its image folded as in amx_folded.h.
//
// Math       as amx_conv.h, of one group
// Blocking   as amx_conv.h; the filter is first copied to the order of a window, [column][row][channel]
// Numerics   as amx_conv.h, in that order
// Workspace  the filter, the picks, and amx_conv.h's
#pragma once

#include "cpu/kernels/amx_conv.h"

namespace fc::cpu::FC_ISA {

using FoldedConv = AmxConv<FoldedGrid>;

struct FoldedWorkspace {
  float* filter;
  Pick* picks;
  WorkspaceCutter rest;

  FoldedWorkspace(const FoldedConv& c, void* base) : rest(base) {
    filter = rest.take<float>(c.grid.runs() * c.grid.run_depth() * c.p.columns);
    picks = rest.take<Pick>(c.grid.most_picks());
  }
};

inline size_t folded_conv_workspace(const FoldedConv& c, int threads) {
  return FoldedWorkspace(c, nullptr).rest.bytes() + amx_conv_workspace(c, threads);
}

// to[column tap][row tap][channel][filter]
inline void fold_filter(const FoldedConv& c, float* to) {
  const FoldedGrid& g = c.grid;
  const AmxFilter& f = c.filter;
  for (int64_t s = 0; s < g.column_taps(); ++s) {
    for (int64_t r = 0; r < g.row_taps(); ++r) {
      const float* tap = f.w + f.first + g.row_tap(r) * f.step_h + g.column_tap(s) * f.step_w;
      for (int64_t d = 0; d < g.channels; ++d) {
        for (int64_t j = 0; j < c.p.columns; ++j) *to++ = tap[d * f.depth_stride + j * f.line_stride];
      }
    }
  }
}

inline bool folded_conv(FoldedConv c, const Context& context) {
  FoldedWorkspace w(c, context.workspace);
  fold_filter(c, w.filter);
  c.filter = {w.filter, 1, c.p.columns, 0, 0, 0, c.grid.run_depth() * c.p.columns};
  c.grid.prepare(w.picks);
  return amx_conv(c, {reinterpret_cast<void*>(w.rest.end()), context.threads});
}

}  // namespace fc::cpu::FC_ISA
