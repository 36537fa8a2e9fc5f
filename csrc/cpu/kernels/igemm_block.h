// igemm_block.h — one row block times one block of B.
#pragma once

#include "cpu/kernels/igemm_problem.h"
#include "cpu/kernels/pack.h"
#include "cpu/kernels/tile.h"

namespace fc::cpu::FC_ISA {

// Rows `first` … of one group, with the pointers to what they read and write.
template <class T>
struct RowBlock {
  const Igemm<T>& p;
  const IgemmBlocking<T>& k;
  const IgemmScratch<T>& scratch;
  const T* zeros;
  int64_t group, first, count;
  Epilogue<T> epilogue;  // of the group

  RowBlock(const Igemm<T>& p, const IgemmBlocking<T>& k, const IgemmScratch<T>& scratch, const T* zeros,
           int64_t group, int64_t first)
      : p(p),
        k(k),
        scratch(scratch),
        zeros(zeros),
        group(group),
        first(first),
        count(min_of(k.block, p.rows.positions() - first)),
        epilogue(p.epilogue) {
    if (epilogue.bias != nullptr) epilogue.bias += group * p.columns;
    p.rows.point(first, count, k.block, group * p.rows.channels, zeros, scratch.strip, scratch.rows);
    point_out(p, first, count, group, scratch.out);
  }
};

// The rows of B that taps [tap, tap + taps) x elements [offset, offset + depth) multiply.
struct DepthBlock {
  int64_t tap, taps, offset, depth;
  bool first, last;
};

template <class T, class F>
inline void for_each_depth_block(const Igemm<T>& p, const IgemmBlocking<T>& k, const F& f) {
  const int64_t taps = p.rows.taps(), depth = p.rows.depth();
  for (int64_t tap = 0; tap < taps; tap += k.tap_step) {
    const int64_t n = min_of(k.tap_step, taps - tap);
    for (int64_t offset = 0; offset < depth; offset += k.depth_step) {
      const int64_t m = min_of(k.depth_step, depth - offset);
      f(DepthBlock{tap, n, offset, m, tap + offset == 0, tap + n == taps && offset + m == depth});
    }
  }
}

// B's block under `panel`, ready for multiply_tile; sets the stride between its rows.
template <class T>
inline const T* panel_block(const RowBlock<T>& r, int64_t panel, const DepthBlock& d, int64_t& stride) {
  const Panels<T>& panels = r.k.panels;
  const int64_t width = panels.vectors_of(panel).size() * kLanes<T>,
                from = d.tap * r.p.rows.depth() + d.offset;
  stride = width;
  if (r.p.filter.stride == 0) {
    const int64_t all = r.p.rows.taps() * r.p.rows.depth();
    return r.p.filter.b + (r.group * panels.vectors + panels.vectors_of(panel).begin) * kLanes<T> * all +
           from * width;
  }
  const T* b = r.p.filter.b + from * r.p.filter.stride + r.group * r.p.columns + panels.column_of(panel);
  if (r.k.streamed && panels.columns_of(panel) == width) {
    stride = r.p.filter.stride;
    return b;
  }
  pack_rows(b, r.p.filter.stride, d.taps * d.depth, panels.columns_of(panel), width, r.scratch.panel);
  return r.scratch.panel;
}

// As the tiles of multiply_block, but a tap outside the image is left out: 0 · w would be NaN for an infinite
// w. Rows go one by one, so this is slow; the order of summation, hence every other bit, is the same.
template <class T>
inline void multiply_block_exactly(const RowBlock<T>& r, int64_t vectors, const DepthBlock& d,
                                   TileProduct<T> t) {
  const ImageRows<T> rows = r.p.rows.one_by_one();
  const int64_t channels = rows.channels, from = d.tap * r.p.rows.depth() + d.offset,
                end = from + d.taps * d.depth;
  const T* const b = t.b;
  const Epilogue<T>* const epilogue = t.epilogue;
  for (int64_t i = 0; i < r.count; ++i) {
    rows.point(r.first + i, 1, 1, r.group * channels, r.zeros, nullptr, r.scratch.one_row);
    t.out = r.scratch.out + i;
    t.accumulate = !d.first;
    const auto multiply = [&](int64_t taps) {
      t.taps = taps;
      multiply_tile(1, vectors, t);
      t.accumulate = true;
    };
    t.epilogue = nullptr;
    multiply(0);
    for (int64_t tap = from / channels; tap * channels < end; ++tap) {
      if (r.scratch.one_row[tap] == r.zeros) continue;
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

template <class T>
inline void multiply_block(const RowBlock<T>& r, int64_t panel, const DepthBlock& d) {
  const int64_t vectors = r.k.panels.vectors_of(panel).size(), tiles = ceil_div(r.count, kTileRows);
  TileProduct<T> t{};
  t.row_stride = r.k.block;
  t.taps = d.taps, t.offset = d.offset, t.depth = d.depth;
  t.b = panel_block(r, panel, d, t.b_stride);
  t.column = r.k.panels.column_of(panel), t.columns = r.k.panels.columns_of(panel);
  t.accumulate = !d.first;
  t.epilogue = d.last ? &r.epilogue : nullptr;
  if (r.p.rows.has_edges() && !all_finite(t.b, d.taps * d.depth * t.b_stride)) {
    return multiply_block_exactly(r, vectors, d, t);
  }
  for (int64_t i = 0; i < tiles; ++i) {
    const Range run = part_of(r.count, tiles, i);
    t.rows = r.scratch.rows + d.tap * r.k.block + run.begin;
    t.out = r.scratch.out + run.begin;
    multiply_tile(run.size(), vectors, t);
  }
}

}  // namespace fc::cpu::FC_ISA
