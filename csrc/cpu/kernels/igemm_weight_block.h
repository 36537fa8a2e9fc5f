// igemm_weight_block.h — one block of pixels: its contribution to a run of column panels of dw.
#pragma once

#include "cpu/kernels/add_rows.h"
#include "cpu/kernels/igemm_weight_problem.h"
#include "cpu/kernels/pack.h"
#include "cpu/kernels/tile_outer.h"

namespace fc::cpu::FC_ISA {

// Pixels `first` … of one group, with the pointers to what they read.
template <class T>
struct PixelBlock {
  const IgemmWeight<T>& p;
  const Panels<T>& panels;
  const IgemmWeightScratch<T>& scratch;
  const T* zeros;
  int64_t group, first, count;
  bool accumulate;  // dw and dbias hold the sum so far
  bool last;        // of its chunk
  Range run, rows;  // the part of dw: panels x channels under every tap
  T* dw;
  T* dbias;  // or null

  int64_t width(int64_t panel) const { return panels.vectors_of(panel).size() * kLanes<T>; }
  int64_t column(int64_t panel) const { return group * p.columns + panels.column_of(panel); }
};

// dw under `panel`: rows tap · depth + [run.begin, run.end) (+)= those elements of t.rows, times t.b. The panel's first
// tiles ask for dy of the next block, each for one line of every pixel's.
template <class T>
inline void multiply_tiles(const PixelBlock<T>& b, int64_t panel, TileOuter<T> t, int64_t tap, int64_t depth,
                           Range run) {
  constexpr int64_t kLine = 64 / sizeof(T);
  const int64_t vectors = b.panels.vectors_of(panel).size(),
                tiles = ceil_div(run.size(), outer_rows(static_cast<int>(vectors)));
  const T* const next = b.p.dy + (b.first + b.count) * b.p.filters() + b.column(panel);
  t.out_stride = b.p.filters(), t.columns = b.panels.columns_of(panel);
  for (int64_t i = 0; i < tiles; ++i) {
    const Range c = part_of(run.size(), tiles, i);
    const int64_t line = tap * tiles + i;
    const bool asks = !b.last && line * kLine < t.columns;
    t.ahead = asks ? next + line * kLine : t.b, t.ahead_row = asks ? b.p.filters() : 0;
    t.offset = run.begin + c.begin;
    t.out = b.dw + (tap * depth + t.offset) * b.p.filters() + b.column(panel);
    multiply_outer(c.size(), vectors, t);
  }
}

// A tap outside the image is left out: 0 · dy would be NaN for an infinite dy. Pixels go one by one, so this
// is slow; the order of summation is the same.
template <class T>
inline void multiply_panel_exactly(const PixelBlock<T>& b, int64_t panel, const T* dy) {
  const ImageRows<T> rows = b.p.rows.one_by_one();
  const int64_t width = b.width(panel), channels = rows.channels;
  const Range run = b.p.rows.merged ? Range{0, channels} : b.rows;
  for (int64_t tap = 0; tap < rows.taps() && !b.accumulate; ++tap) {
    multiply_tiles(b, panel, {nullptr, 0, dy, 0, nullptr, 0, 0, false}, tap, channels, run);
  }
  for (int64_t m = 0; m < b.count; ++m) {
    rows.point(b.first + m, 1, 1, b.group * channels, b.zeros, nullptr, b.scratch.one_row);
    for (int64_t tap = 0; tap < rows.taps(); ++tap) {
      const T* const* row = b.scratch.one_row + tap;
      if (*row == b.zeros) continue;
      multiply_tiles(b, panel, {row, 0, dy + m * width, 1, nullptr, 0, 0, true}, tap, channels, run);
    }
  }
}

template <class T>
inline void multiply_block(const PixelBlock<T>& b) {
  const int64_t depth = b.p.rows.depth();
  const auto packed = [&](int64_t panel) {
    return b.scratch.dy + (panel - b.run.begin) * kPixelBlock * kTileVectors * kLanes<T>;
  };
  b.p.rows.point(b.first, b.count, kPixelBlock, b.group * b.p.rows.channels, b.zeros, b.scratch.strip,
                 b.scratch.rows);
  if (b.p.rows.far())
    b.p.rows.fetch(b.scratch.rows, kPixelBlock, {0, b.count}, b.rows);  // while dy is packed
  bool exactly = false;
  for (int64_t panel = b.run.begin; panel < b.run.end; ++panel) {
    const int64_t columns = b.panels.columns_of(panel), width = b.width(panel);
    pack_rows(b.p.dy + b.first * b.p.filters() + b.column(panel), b.p.filters(), b.count, columns, width,
              packed(panel));
    if (b.dbias != nullptr)
      add_rows(packed(panel), b.count, width, columns, b.accumulate, b.dbias + b.column(panel));
    exactly = exactly || (b.p.rows.has_edges() && !all_finite(packed(panel), b.count * width));
  }
  if (exactly) {
    for (int64_t panel = b.run.begin; panel < b.run.end; ++panel)
      multiply_panel_exactly(b, panel, packed(panel));
    return;
  }
  for (int64_t tap = 0; tap < b.p.rows.taps(); ++tap) {
    for (int64_t panel = b.run.begin; panel < b.run.end; ++panel) {
      multiply_tiles(
          b, panel,
          {b.scratch.rows + tap * kPixelBlock, 0, packed(panel), b.count, nullptr, 0, 0, b.accumulate}, tap,
          depth, b.rows);
    }
  }
}

}  // namespace fc::cpu::FC_ISA
