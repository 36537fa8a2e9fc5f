// igemm_weight.h — the loops around multiply_outer: weight and bias gradients as a sum of outer products over
// pixels.
//
// Math       dw[tap·depth + c][j] = Σ_m rows[tap][m][c] · dy[m][j],  dbias[j] = Σ_m dy[m][j]; per group
// Blocking   a task owns a chunk of pixels and a run of column panels; kPixelBlock pixels at a time it packs
// dy's panel
//            (L1) and passes all (tap, c) tiles over it, adding to its part of dw (kWeightPartBytes: L2)
// Threads    over (pixel chunk, group, run of panels). The chunks depend on the shape alone and their sums
// are added in
//            a fixed tree, so bits do not depend on the number of threads
// Numerics   fma ascending in m within a chunk, then the tree; dbias: sums of kPixelBlock, then likewise
// Edges      no pixels: zeros
#pragma once

#include "core/context.h"
#include "cpu/kernels/igemm.h"
#include "cpu/kernels/tile_outer.h"
#include "cpu/kernels/tree_sum.h"

namespace fc::cpu::FC_ISA {

template <class T>
struct IgemmWeight {
  ImageRows<T> rows;
  const T* dy;  // (positions, groups·columns)
  int64_t groups, columns;
  T* dw;     // (taps·depth, groups·columns)
  T* dbias;  // (groups·columns), or null

  int64_t filters() const { return groups * columns; }
  int64_t weights() const { return rows.taps() * rows.depth() * filters(); }
};

template <class T>
struct IgemmWeightBlocking {
  Panels<T> panels;
  int64_t column_runs, chunks, chunk_blocks, blocks;

  explicit IgemmWeightBlocking(const IgemmWeight<T>& p) : panels(p.columns) {
    const int64_t panel_bytes = p.rows.taps() * p.rows.depth() * kTileVectors * FC_VECTOR_BYTES;
    column_runs = ceil_div(panels.count, larger(kWeightPartBytes / panel_bytes, 1));
    blocks = ceil_div(p.rows.positions(), kPixelBlock);
    const int64_t runs = p.groups * column_runs;
    chunk_blocks = larger(ceil_div(blocks * runs, kTasks), kMinChunkBlocks);
    chunks = larger(ceil_div(blocks, chunk_blocks), 1);
    column_runs = smaller(panels.count, larger(column_runs, ceil_div(kTasks, chunks * p.groups)));
  }
};

template <class T>
struct IgemmWeightScratch {
  const T** rows;
  T* strip;
  T* dy;

  IgemmWeightScratch(const IgemmWeight<T>& p, WorkspaceCutter& cutter)
      : rows(cutter.take<const T*>(p.rows.taps() * kPixelBlock)),
        strip(cutter.take<T>(p.rows.strip_size(kPixelBlock))),
        dy(cutter.take<T>(kPixelBlock * kTileVectors * kLanes<T>)) {}
};

template <class T>
struct IgemmWeightWorkspace {
  T* zeros;
  T* dw;     // [chunks][weights]; dw itself when there is one chunk
  T* dbias;  // [chunks][filters]
  SlotWorkspace slots;

  IgemmWeightWorkspace(const IgemmWeight<T>& p, int64_t chunks, int threads, void* base) {
    WorkspaceCutter cutter(base);
    zeros = cutter.take<T>(p.rows.depth());
    dw = chunks > 1 ? cutter.take<T>(chunks * p.weights()) : p.dw;
    dbias = chunks > 1 ? cutter.take<T>(chunks * p.filters()) : p.dbias;
    WorkspaceCutter one(nullptr);
    IgemmWeightScratch<T>(p, one);
    slots = SlotWorkspace(cutter, one.bytes(), threads);
  }
};

template <class T>
size_t igemm_weight_workspace(const IgemmWeight<T>& p, int threads) {
  return IgemmWeightWorkspace<T>(p, IgemmWeightBlocking<T>(p).chunks, threads, nullptr).slots.total_bytes;
}

// dbias (+)= Σ_m b[m] over a packed block
template <class T>
inline void add_bias_gradient(const T* b, int64_t count, int64_t width, int64_t columns, bool accumulate,
                              T* dbias) {
  for_each_vector<T>(columns, [&](int64_t j, int64_t n) {
    Vec<T> sum{};
    for (int64_t m = 0; m < count; ++m) sum += load(b + m * width + j);
    if (accumulate) sum += load_up_to(dbias + j, n);
    store_up_to(dbias + j, sum, n);
  });
}

// Adds one block of pixels to the panel's part of dw (and dbias).
template <class T>
inline void multiply_block(const IgemmWeight<T>& p, const Panels<T>& panels, int64_t group, int64_t panel,
                           int64_t first, int64_t count, bool accumulate,
                           const IgemmWeightScratch<T>& scratch, T* dw, T* dbias) {
  const int64_t vectors = panels.vectors_of(panel).size(), width = vectors * kLanes<T>;
  const int64_t column = group * p.columns + panels.column_of(panel), columns = panels.columns_of(panel);
  pack_rows(p.dy + first * p.filters() + column, p.filters(), count, columns, width, scratch.dy);
  if (dbias != nullptr) add_bias_gradient(scratch.dy, count, width, columns, accumulate, dbias + column);

  const int64_t depth = p.rows.depth(), tiles = ceil_div(depth, kTileRows);
  for (int64_t tap = 0; tap < p.rows.taps(); ++tap) {
    for (int64_t i = 0; i < tiles; ++i) {
      const Range run = part_of(depth, tiles, i);
      multiply_outer<T>(
          run.size(), vectors,
          {scratch.rows + tap * kPixelBlock, run.begin, scratch.dy, count,
           dw + (tap * depth + run.begin) * p.filters() + column, p.filters(), columns, accumulate});
    }
  }
}

template <class T>
void igemm_weight(const IgemmWeight<T>& p, const Context& context) {
  const IgemmWeightBlocking<T> k(p);
  const IgemmWeightWorkspace<T> workspace(p, k.chunks, context.threads, context.workspace);
  const int64_t positions = p.rows.positions();
  if (positions == 0) {
    for (int64_t i = 0; i < p.weights(); ++i) p.dw[i] = T(0);
    for (int64_t i = 0; p.dbias != nullptr && i < p.filters(); ++i) p.dbias[i] = T(0);
    return;
  }
  for (int64_t i = 0; i < p.rows.depth(); ++i) workspace.zeros[i] = T(0);

  parallel_for_slots(context.threads, k.chunks * p.groups * k.column_runs, [&](int64_t task, int slot) {
    const int64_t run = task % k.column_runs, group = task / k.column_runs % p.groups;
    const int64_t chunk = task / k.column_runs / p.groups;
    WorkspaceCutter cutter = workspace.slots.at(slot);
    const IgemmWeightScratch<T> scratch(p, cutter);
    T* dw = workspace.dw + chunk * p.weights();
    T* dbias = p.dbias != nullptr ? workspace.dbias + chunk * p.filters() : nullptr;
    const Range panels = part_of(k.panels.count, k.column_runs, run);
    const int64_t begin = chunk * k.chunk_blocks, end = smaller(begin + k.chunk_blocks, k.blocks);
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * kPixelBlock, count = smaller(kPixelBlock, positions - first);
      p.rows.point(first, count, kPixelBlock, group * p.rows.channels, workspace.zeros, scratch.strip,
                   scratch.rows);
      for (int64_t panel = panels.begin; panel < panels.end; ++panel) {
        multiply_block(p, k.panels, group, panel, first, count, block > begin, scratch, dw, dbias);
      }
    }
  });

  if (k.chunks > 1) {
    tree_sum(workspace.dw, k.chunks, p.weights(), p.weights(), p.dw, context.threads);
    if (p.dbias != nullptr) tree_sum(workspace.dbias, k.chunks, p.filters(), p.filters(), p.dbias, 1);
  }
}

}  // namespace fc::cpu::FC_ISA
