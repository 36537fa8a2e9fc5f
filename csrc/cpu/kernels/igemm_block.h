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

  // Whether the first tile that meets a block of B packs it for the others.
  bool packs() const { return !k.packed_ahead && !k.streamed && !p.filter.transposed(); }
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

  PanelBlock(const RowBlock<T>& r, const FilterBlock& d, bool on_the_way) {
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
      if (!on_the_way) r.p.filter.pack(panels, r.group, d, r.scratch.panel);
      finite = on_the_way || !r.p.rows.has_edges() || all_finite(b, d.taps * d.depth * stride);
    }
  }
};

// The first tile of a block, which packs B for the others. Returns whether all of it is finite.
template <class T>
inline bool multiply_and_pack(const RowBlock<T>& r, int64_t vectors, const FilterBlock& d,
                              const TileProduct<T>& t) {
  const auto from = [&](int64_t tap) { return r.p.filter.at(r.group, d.tap + tap, d.offset, t.column); };
  multiply_and_pack(vectors, t, from, r.p.filter.row, r.scratch.panel);
  return !r.p.rows.has_edges() || all_finite(r.scratch.panel, d.taps * d.depth * t.b_stride);
}

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

// Asks for where the results of these rows go: by the time the tile is computed the lines have come, and its
// stores, many in a row, wait for none.
template <class T>
FC_INLINE void fetch_destinations(const TileProduct<T>& t, int64_t rows) {
  for (int64_t i = 0; i < rows; ++i) prefetch_run<1>(t.out[i] + t.column, t.columns);
}

// False, with results that must be computed again with `carefully`, where it met a number in B that is not finite.
template <class T>
inline bool multiply_block(const RowBlock<T>& r, const FilterBlock& d, const FilterBlock* next,
                           bool carefully) {
  const int64_t vectors = r.k.panels.vectors_of(d.panel).size(),
                most = tile_rows(static_cast<int>(min_of(vectors, kTileVectors)));
  const bool packs = !carefully && r.packs() && r.count >= most;
  TileProduct<T> t{};
  t.row_stride = r.k.block, t.zeros = r.workspace.zeros;
  t.taps = d.taps, t.offset = d.offset, t.depth = d.depth;
  const PanelBlock<T> block(r, d, packs);
  t.b = block.b, t.b_stride = block.stride;
  t.column = r.k.panels.column_of(d.panel), t.columns = r.k.panels.columns_of(d.panel);
  t.accumulate = !d.first;
  t.epilogue = d.last ? &r.epilogue : nullptr;
  if (!block.finite && r.p.rows.has_edges()) {
    multiply_block_exactly(r, vectors, d, t);
    return true;
  }
  // What lies beyond L2 is fetched a few tiles ahead: rows under the first panel, what results meet under the last
  // block of their sums.
  const bool reads = d.first && d.panel == r.first_panel && r.p.rows.far();
  const bool far = outgrows_l2<T>(r.p.rows.images * r.p.out_image);
  const bool meets = d.last && r.epilogue.fetches() && far;
  const bool writes = kTileFetches && d.first && d.last && far;
  const int64_t whole = packs ? most : 0,
                rest = r.count - whole;  // rows of the tile that packs; of the others
  const int64_t tiles = ceil_div(rest, most) + packs;
  const auto rows_of = [&](int64_t i) {
    if (i < packs) return Range{0, whole};
    const Range run = part_of(rest, tiles - packs, i - packs);
    return Range{whole + run.begin, whole + run.end};
  };
  for (int64_t i = 0; i < tiles; ++i) {
    if (next != nullptr) r.p.filter.prefetch(r.k.panels, r.group, *next, tiles, i);
    if ((reads || meets) && i + kTilesAhead < tiles) {
      const Range ahead = rows_of(i + kTilesAhead);
      if (reads) r.p.rows.fetch(r.scratch.rows, r.k.block, ahead, {0, r.p.rows.depth()});
      if (meets) fetch_results(r, d.panel, ahead);
    }
    const Range run = rows_of(i);
    t.rows = r.scratch.rows + d.tap * r.k.block + run.begin;
    t.out = r.scratch.out + run.begin;
    if (writes) fetch_destinations(t, run.size());
    if (i < packs) {
      if (!multiply_and_pack(r, vectors, d, t)) return false;
    } else if (run.size() == 1) {
      multiply_one_row(vectors, t);
    } else {
      multiply_tile(run.size(), vectors, t);
    }
  }
  return true;
}

}  // namespace fc::cpu::FC_ISA
