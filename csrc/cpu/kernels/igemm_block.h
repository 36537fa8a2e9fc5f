// igemm_block.h — one row block times one block of B.
#pragma once

#include "cpu/kernels/igemm_problem.h"
#include "cpu/kernels/tile.h"
#include "cpu/simd/stream.h"

namespace fc::cpu::FC_ISA {

// Rows `first` … of one group, with the pointers to what they read and write.
template <class T>
struct RowBlock {
  const Igemm<T>& p;
  const IgemmBlocking<T>& k;
  const IgemmWorkspace<T>& workspace;
  const IgemmScratch<T>& scratch;
  bool finite;  // B, known ahead
  int64_t group, first, count;
  Epilogue<T> epilogue;  // of the group
  int64_t first_panel;   // of those that are walked

  RowBlock(const Igemm<T>& p, const IgemmBlocking<T>& k, const IgemmWorkspace<T>& workspace,
           const IgemmScratch<T>& scratch, bool finite, int64_t group, int64_t first, int64_t first_panel)
      : p(p),
        k(k),
        workspace(workspace),
        scratch(scratch),
        finite(finite),
        group(group),
        first(first),
        count(min_of(k.block, p.rows.positions() - first)),
        epilogue(p.epilogue.from_column(group * p.columns)),
        first_panel(first_panel) {
    p.rows.point(first, count, k.block, group * p.rows.channels, workspace.zeros, scratch.strip,
                 scratch.rows);
    point_out(p, first, count, group, scratch.out);
  }
};

// The i-th of the blocks that the panels [begin, end) are walked in.
template <class T>
inline FilterBlock filter_block(const Igemm<T>& p, const IgemmBlocking<T>& k, Range panels, int64_t i) {
  const int64_t taps = p.rows.taps(), depth = p.rows.depth(), all = k.depth_blocks();
  const int64_t panel = panels.begin + (k.streamed ? i % panels.size() : i / all);
  const int64_t block = k.streamed ? i / panels.size() : i % all;
  const int64_t tap = block / k.offsets * k.tap_step, offset = block % k.offsets * k.depth_step;
  const int64_t n = min_of(k.tap_step, taps - tap), m = min_of(k.depth_step, depth - offset);
  return {panel, tap, n, offset, m, block == 0, block + 1 == all};
}

// A block of B, ready for multiply_tile.
template <class T>
struct PanelBlock {
  const T* b;
  int64_t stride;  // between its rows
  bool finite;

  PanelBlock(const RowBlock<T>& r, const FilterBlock& d) {
    const Panels<T>& panels = r.k.panels;
    stride = panels.width_of(d.panel);
    if (r.k.packed_ahead) {
      b = r.workspace.packed.at(panels, r.group, d.panel, d.tap, d.offset);
      finite = r.finite || all_finite(b, d.taps * d.depth * stride);
    } else if (r.k.streamed && panels.columns_of(d.panel) == stride) {
      b = r.p.filter.at(r.group, d.tap, d.offset, panels.column_of(d.panel));
      stride = r.p.filter.row;
      finite = true;  // no tap lies outside
    } else {
      b = r.scratch.panel;
      finite = r.p.filter.pack(panels, r.group, d, r.scratch.panel);
    }
  }
};

// As the tiles of multiply_block, but a tap outside the image is left out: 0 · w would be NaN for an infinite
// w. Rows go one by one, so this is slow; the order of summation, hence every other bit, is the same.
template <class T>
inline void multiply_block_exactly(const RowBlock<T>& r, int64_t vectors, const FilterBlock& d,
                                   TileProduct<T> t) {
  const ImageRows<T> rows = r.p.rows.one_by_one();
  const int64_t channels = rows.channels, from = d.tap * r.p.rows.depth() + d.offset,
                end = from + d.taps * d.depth;
  const T* const b = t.b;
  const Epilogue<T>* const epilogue = t.epilogue;
  for (int64_t i = 0; i < r.count; ++i) {
    rows.point(r.first + i, 1, 1, r.group * channels, r.workspace.zeros, nullptr, r.scratch.one_row);
    t.out = r.scratch.out + i;
    t.accumulate = !d.first;
    const auto multiply = [&](int64_t taps) {
      t.taps = taps;
      multiply_one_row(vectors, t);
      t.accumulate = true;
    };
    t.epilogue = nullptr;
    multiply(0);
    for (int64_t tap = from / channels; tap * channels < end; ++tap) {
      if (r.scratch.one_row[tap] == r.workspace.zeros) continue;
      const Range run{max_of(from, tap * channels), min_of(end, (tap + 1) * channels)};
      t.rows = r.scratch.one_row + tap;
      t.offset = run.begin - tap * channels, t.depth = run.size();
      t.b = b + (run.begin - from) * t.b_stride;
      multiply(1);
    }
    t.epilogue = epilogue;
    multiply(0);
  }
}

// Asks for what the results of these rows under a panel come to meet.
template <class T>
FC_INLINE void fetch_results(const RowBlock<T>& r, int64_t panel, Range rows) {
  const int64_t column = r.k.panels.column_of(panel), columns = r.k.panels.columns_of(panel);
  for (int64_t i = rows.begin; i < rows.end; ++i) r.epilogue.fetch(r.scratch.out[i] + column, columns);
}

template <class T>
inline void multiply_block(const RowBlock<T>& r, const FilterBlock& d, const FilterBlock* next) {
  const int64_t vectors = r.k.panels.vectors_of(d.panel).size(),
                tiles = ceil_div(r.count, tile_rows(static_cast<int>(min_of(vectors, kTileVectors))));
  TileProduct<T> t{};
  t.row_stride = r.k.block, t.zeros = r.workspace.zeros;
  t.taps = d.taps, t.offset = d.offset, t.depth = d.depth;
  const PanelBlock<T> block(r, d);
  t.b = block.b, t.b_stride = block.stride;
  t.column = r.k.panels.column_of(d.panel), t.columns = r.k.panels.columns_of(d.panel);
  t.accumulate = !d.first;
  t.epilogue = d.last ? &r.epilogue : nullptr;
  if (!block.finite && r.p.rows.has_edges()) return multiply_block_exactly(r, vectors, d, t);
  // What lies beyond L2 is fetched a few tiles ahead: rows under the first panel, what results meet under the last
  // block of their sums.
  const bool reads = d.first && d.panel == r.first_panel && r.p.rows.far();
  const bool meets = d.last && r.epilogue.fetches() && outgrows_l2<T>(r.p.rows.images * r.p.out_image);
  for (int64_t i = 0; i < tiles; ++i) {
    if (next != nullptr) r.p.filter.prefetch(r.k.panels, r.group, *next, tiles, i);
    if ((reads || meets) && i + kTilesAhead < tiles) {
      const Range ahead = part_of(r.count, tiles, i + kTilesAhead);
      if (reads) r.p.rows.fetch(r.scratch.rows, r.k.block, ahead, {0, r.p.rows.depth()});
      if (meets) fetch_results(r, d.panel, ahead);
    }
    const Range run = part_of(r.count, tiles, i);
    t.rows = r.scratch.rows + d.tap * r.k.block + run.begin;
    t.out = r.scratch.out + run.begin;
    if (run.size() == 1) {
      multiply_one_row(vectors, t);
    } else {
      multiply_tile(run.size(), vectors, t);
    }
  }
}

}  // namespace fc::cpu::FC_ISA
