// igemm.h — the loops around multiply_tile: rows of an image times a matrix B, for forward and backward input
// alike.
//
// Math       out[i][j] = Σ_tap Σ_c rows[tap][i][c] · B[tap·depth + c][j], then the epilogue; per group
// Blocking   a task owns a block of rows and a run of column panels; per panel, B is walked in blocks of
// kPanelDepth
//            that stay in cache while all tiles of the row block pass over them
// Threads    over (row block, group, run of panels); each output has one writer and one order of summation
// Edges      rows and panels are cut into nearly equal tiles, so there is no thin last tile; B is zero-padded
// Tried      packing all of B ahead of the loop: an extra pass over memory, slower for small batches, equal
// for large
#pragma once

#include "core/context.h"
#include "cpu/kernels/image_rows.h"
#include "cpu/kernels/pack.h"
#include "cpu/kernels/tile.h"
#include "cpu/kernels/workspace.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {

// How the columns of B are cut: whole vectors, in panels of at most kTileVectors, as equal as can be.
template <class T>
struct Panels {
  int64_t columns, vectors, count;

  explicit Panels(int64_t columns)
      : columns(columns), vectors(ceil_div(columns, kLanes<T>)), count(ceil_div(vectors, kTileVectors)) {}

  Range vectors_of(int64_t panel) const { return part_of(vectors, count, panel); }
  int64_t column_of(int64_t panel) const { return smaller(vectors * panel / count * kLanes<T>, columns); }
  int64_t columns_of(int64_t panel) const { return column_of(panel + 1) - column_of(panel); }
};

// B (taps·depth rows, `columns` columns per group): plain with a row stride, or packed ahead by
// pack_transposed.
template <class T>
struct Filter {
  const T* b;
  int64_t stride;  // of a plain B, whose groups lie side by side; 0: packed, [group][panel][row][width]
};

template <class T>
struct Igemm {
  ImageRows<T> rows;
  T* out;
  int64_t out_image, out_h,
      out_w;  // elements from one image, line, position to the next; as rows counts them
  int64_t groups, columns;
  Filter<T> filter;
  Epilogue<T> epilogue;
};

template <class T>
struct IgemmBlocking {
  Panels<T> panels;
  int64_t block, blocks, column_runs, tap_step, depth_step;

  explicit IgemmBlocking(const Igemm<T>& p) : panels(p.columns) {
    const int64_t rows = p.rows.positions(), depth = p.rows.depth();
    block = kRowBlock;
    while (block > kMinRowBlock && ceil_div(rows, block) * p.groups * panels.count < kTasks) block /= 2;
    blocks = ceil_div(rows, block);
    block = round_up(ceil_div(rows, larger(blocks, 1)), kTileRows);
    column_runs = smaller(panels.count, ceil_div(kTasks, larger(blocks * p.groups, 1)));
    depth_step = ceil_div(depth, ceil_div(depth, kPanelDepth));
    tap_step = smaller(larger(kPanelDepth / depth, 1), p.rows.taps());
  }
};

// One thread's private memory.
template <class T>
struct IgemmScratch {
  const T** rows;
  T** out;
  T* strip;
  T* panel;

  IgemmScratch(const Igemm<T>& p, int64_t block, WorkspaceCutter& cutter)
      : rows(cutter.take<const T*>(p.rows.taps() * block)),
        out(cutter.take<T*>(block)),
        strip(cutter.take<T>(p.rows.strip_size(block))),
        panel(cutter.take<T>(p.filter.stride ? kPanelDepth * kTileVectors * kLanes<T> : 0)) {}
};

template <class T>
struct IgemmWorkspace {
  T* zeros;
  SlotWorkspace slots;

  IgemmWorkspace(const Igemm<T>& p, int64_t block, int threads, void* base) : zeros(nullptr) {
    WorkspaceCutter cutter(base);
    zeros = cutter.take<T>(p.rows.depth());
    WorkspaceCutter one(nullptr);
    IgemmScratch<T>(p, block, one);
    slots = SlotWorkspace(cutter, one.bytes(), threads);
  }
};

template <class T>
size_t igemm_workspace(const Igemm<T>& p, int threads) {
  return IgemmWorkspace<T>(p, IgemmBlocking<T>(p).block, threads, nullptr).slots.total_bytes;
}

template <class T>
inline void point_out(const Igemm<T>& p, int64_t first, int64_t count, int64_t group, T** out) {
  p.rows.for_each_segment(first, count, [&](int64_t n, int64_t i, Range j, int64_t at) {
    T* line = p.out + n * p.out_image + i * p.out_h + group * p.columns;
    for (int64_t k = j.begin; k < j.end; ++k) out[at++] = line + k * p.out_w;
  });
}

// Rows `from` … of B under `panel`, ready for multiply_tile; sets the stride between them.
template <class T>
inline const T* panel_of(const Igemm<T>& p, const Panels<T>& panels, int64_t group, int64_t panel,
                         int64_t from, int64_t depth, int64_t rows, T* scratch, int64_t& stride) {
  const int64_t width = panels.vectors_of(panel).size() * kLanes<T>;
  stride = width;
  if (p.filter.stride == 0) {
    const int64_t all = p.rows.taps() * p.rows.depth();
    return p.filter.b + (group * panels.vectors + panels.vectors_of(panel).begin) * kLanes<T> * all +
           from * width;
  }
  const T* b = p.filter.b + from * p.filter.stride + group * p.columns + panels.column_of(panel);
  const int64_t columns = panels.columns_of(panel);
  if (rows <= kTileRows && columns == width) {  // read once or twice: packing would cost more than it saves
    stride = p.filter.stride;
    return b;
  }
  pack_rows(b, p.filter.stride, depth, columns, width, scratch);
  return scratch;
}

template <class T>
inline void multiply_panel(const Igemm<T>& p, const IgemmBlocking<T>& k, int64_t group, int64_t panel,
                           int64_t count, const Epilogue<T>& epilogue, const IgemmScratch<T>& scratch) {
  const int64_t taps = p.rows.taps(), depth = p.rows.depth();
  const int64_t vectors = k.panels.vectors_of(panel).size(), tiles = ceil_div(count, kTileRows);
  TileProduct<T> t{};
  t.row_stride = k.block;
  t.column = k.panels.column_of(panel), t.columns = k.panels.columns_of(panel);
  for (int64_t tap = 0; tap < taps; tap += k.tap_step) {
    t.taps = smaller(k.tap_step, taps - tap);
    for (t.offset = 0; t.offset < depth; t.offset += k.depth_step) {
      t.depth = smaller(k.depth_step, depth - t.offset);
      t.b = panel_of(p, k.panels, group, panel, tap * depth + t.offset, t.taps * t.depth, count,
                     scratch.panel, t.b_stride);
      t.accumulate = tap + t.offset > 0;
      t.epilogue = tap + t.taps == taps && t.offset + t.depth == depth ? &epilogue : nullptr;
      for (int64_t i = 0; i < tiles; ++i) {
        const Range run = part_of(count, tiles, i);
        t.rows = scratch.rows + tap * k.block + run.begin;
        t.out = scratch.out + run.begin;
        multiply_tile(run.size(), vectors, t);
      }
    }
  }
}

template <class T>
void igemm(const Igemm<T>& p, const Context& context) {
  const IgemmBlocking<T> k(p);
  const IgemmWorkspace<T> workspace(p, k.block, context.threads, context.workspace);
  const int64_t rows = p.rows.positions();
  for (int64_t i = 0; i < p.rows.depth(); ++i) workspace.zeros[i] = T(0);

  parallel_for_slots(context.threads, k.blocks * p.groups * k.column_runs, [&](int64_t task, int slot) {
    const int64_t run = task % k.column_runs, group = task / k.column_runs % p.groups;
    const int64_t first = task / k.column_runs / p.groups * k.block, count = smaller(k.block, rows - first);
    WorkspaceCutter cutter = workspace.slots.at(slot);
    const IgemmScratch<T> scratch(p, k.block, cutter);
    p.rows.point(first, count, k.block, group * p.rows.channels, workspace.zeros, scratch.strip,
                 scratch.rows);
    point_out(p, first, count, group, scratch.out);

    Epilogue<T> epilogue = p.epilogue;
    if (epilogue.bias != nullptr) epilogue.bias += group * p.columns;
    const Range panels = part_of(k.panels.count, k.column_runs, run);
    for (int64_t panel = panels.begin; panel < panels.end; ++panel) {
      multiply_panel(p, k, group, panel, count, epilogue, scratch);
    }
    const int64_t begin = k.panels.column_of(panels.begin);
    epilogue.finish(scratch.out, count, begin, k.panels.column_of(panels.end) - begin);
  });
}

}  // namespace fc::cpu::FC_ISA
