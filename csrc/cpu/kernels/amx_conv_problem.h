// amx_conv_problem.h — a convolution on AMX tiles: its operands and how it is cut.
#pragma once

#include "cpu/kernels/amx_alone.h"
#include "cpu/kernels/amx_folded.h"
#include "cpu/kernels/amx_gather.h"

namespace fc::cpu::FC_ISA {

// B[run][d][j] of a group, and the layout of a filter whose taps are taken in any even sequence.
struct AmxFilter {
  const float* w;
  int64_t line_stride, depth_stride;  // from column to column, and from depth to depth; one of them is 1
  int64_t group;                      // from group to group
  int64_t first, step_h, step_w;      // of the taps: where the first is, and how far the next ones are

  Factor factor(const AmxGrid& g, int64_t group_index, int64_t run) const {
    const int64_t tap = first + (g.merged ? run * step_h : run / g.w.taps * step_h + run % g.w.taps * step_w);
    return {w + group_index * group + tap, line_stride, depth_stride, true};
  }
  Factor factor(const FoldedGrid&, int64_t group_index, int64_t run) const {
    return {w + group_index * group + first + run * step_w, line_stride, depth_stride, true};
  }
};

template <class Grid>  // AmxGrid or FoldedGrid
struct AmxConv {
  Igemm<float> p;  // its filter is not read
  Grid grid;
  AmxFilter filter;
  Gather gather{};  // of one group
};

// Elements of a filter, and of a band, that every thread splits for itself: less work than to fetch from
// other cores' caches what these have split.
inline constexpr int64_t kOwnFilter = 48 << 10, kOwnBand = 64 << 10;

struct AmxConvBlocking {
  int64_t panels, column_runs, blocks;         // blocks: of depth, over all runs
  int64_t panel_size;                          // elements of a split panel
  bool split_bands_ahead, split_filter_ahead;  // by all threads, for all
  int64_t own_panels;  // otherwise: that a thread splits at a time, all of them or one

  template <class Grid>
  explicit AmxConvBlocking(const AmxConv<Grid>& c)
      : panels(ceil_div(c.p.columns, kPairLines)),
        column_runs(min_of(panels, ceil_div(kTasks, max_of(c.grid.bands * c.p.groups, 1)))),
        blocks(c.grid.runs() * c.grid.run_blocks()) {
    if (c.grid.bands * c.p.groups >= kAmxBands / 3) column_runs = 1;
    panel_size = blocks * pair_block(c.grid.parts);
    split_bands_ahead = column_runs > 1 && c.grid.plane > kOwnBand;
    // A folded image's filter has just been arranged by one thread; groups take turns.
    const bool small =
        std::is_same_v<Grid, AmxGrid> && c.p.groups == 1 && panels * panel_size <= kOwnFilter * c.grid.parts;
    split_filter_ahead = c.grid.bands > 1 && !small;
    own_panels = split_filter_ahead ? 0 : c.grid.bands > 1 ? panels : 1;
  }
};

template <class Grid>
inline int threads_for(const AmxConv<Grid>& c, const AmxConvBlocking& k, int threads) {
  const double rows = static_cast<double>(c.grid.bands * c.p.groups * c.grid.numbers(c.grid.band(0)));
  const double tiles = rows / kTileLines * static_cast<double>(ceil_div(c.p.columns, kTileLines) * k.blocks);
  const double filter = static_cast<double>(k.panels * k.panel_size / c.grid.parts);
  const int64_t split = std::is_same_v<Grid, FoldedGrid> ? c.grid.run_depth() : c.grid.channels;
  const double numbers = rows * static_cast<double>(split + c.p.columns) + filter;
  return serial_amx_ns(tiles, numbers, c.grid.parts) < kConvAloneNs ? 1 : threads;
}

// Results of a band per column.
template <class Grid>
inline int64_t rows_of(const AmxConv<Grid>& c, const Band& band) {
  return band.images * band.lines * c.p.rows.w.positions;
}

}  // namespace fc::cpu::FC_ISA
