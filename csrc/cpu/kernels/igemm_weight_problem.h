// igemm_weight_problem.h — a sum of outer products over pixels, how it is cut, and the memory it needs.
#pragma once

#include "cpu/kernels/igemm_problem.h"

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

// A task updates a part of dw of about kWeightPartBytes: a run of column panels x a run of channels under
// every tap. Near-square parts re-read x and dy least.
template <class T>
struct IgemmWeightBlocking {
  Panels<T> panels;
  int64_t column_runs, run_panels, row_tiles, row_runs, blocks, chunk_blocks, chunks;

  explicit IgemmWeightBlocking(const IgemmWeight<T>& p) : panels(p.columns) {
    constexpr int64_t kWidthBytes = kTileVectors * FC_VECTOR_BYTES;
    const int64_t depth = p.rows.depth(),
                  most_panels = min_of(panels.count, kPanelRunBytes / kWidthBytes / kPixelBlock);
    const int64_t row_bytes = p.rows.taps() * kWidthBytes;  // one channel under every tap, one panel
    const int64_t few = max_of(kWeightPartBytes / (row_bytes * most_panels), kMinRowRun);
    const int64_t run = p.rows.merged ? depth : min_of(few, depth);
    run_panels = min_of(max_of(kWeightPartBytes / (row_bytes * run), 1), most_panels);
    row_tiles = ceil_div(depth, kRunRows);
    row_runs = ceil_div(depth, run);
    column_runs = ceil_div(panels.count, run_panels);
    blocks = ceil_div(p.rows.positions(), kPixelBlock);
    chunk_blocks = max_of(ceil_div(blocks * p.groups * column_runs * row_runs, kTasks), kMinChunkBlocks);
    chunks = max_of(ceil_div(blocks, chunk_blocks), 1);
    column_runs = min_of(panels.count, max_of(column_runs, ceil_div(kTasks, chunks * p.groups * row_runs)));
    run_panels = ceil_div(panels.count, column_runs);
  }

  // Runs begin at multiples of whole tiles, whatever their width.
  static constexpr int64_t kRunRows = 2 * outer_rows(kTileVectors);
  Range rows_of(int64_t row_run, int64_t depth) const {
    const Range tiles = part_of(row_tiles, row_runs, row_run);
    return {tiles.begin * kRunRows, min_of(tiles.end * kRunRows, depth)};
  }
};

// One thread's private memory.
template <class T>
struct IgemmWeightScratch {
  const T** rows;
  const T** one_row;  // the pointers of a single pixel, one per tap
  T* strip;
  T* dy;  // [panel of the run][kPixelBlock][width]

  IgemmWeightScratch(const IgemmWeight<T>& p, int64_t run_panels, WorkspaceCutter& cutter)
      : rows(cutter.take<const T*>(p.rows.taps() * kPixelBlock)),
        one_row(cutter.take<const T*>(p.rows.one_by_one().taps())),
        strip(cutter.take<T>(p.rows.strip_size(kPixelBlock))),
        dy(cutter.take<T>(run_panels * kPixelBlock * kTileVectors * kLanes<T>)) {}
};

template <class T>
struct IgemmWeightWorkspace {
  T* zeros;
  T* dw;     // [chunks][weights]; dw itself when there is one chunk
  T* dbias;  // [chunks][filters]
  SlotWorkspace slots;

  IgemmWeightWorkspace(const IgemmWeight<T>& p, const IgemmWeightBlocking<T>& k, int threads, void* base) {
    WorkspaceCutter cutter(base);
    zeros = cutter.take<T>(p.rows.depth());
    dw = k.chunks > 1 ? cutter.take<T>(k.chunks * p.weights()) : p.dw;
    dbias = k.chunks > 1 ? cutter.take<T>(k.chunks * p.filters()) : p.dbias;
    WorkspaceCutter one(nullptr);
    IgemmWeightScratch<T>(p, k.run_panels, one);
    slots = SlotWorkspace(cutter, one.bytes(), threads);
  }
};

template <class T>
size_t igemm_weight_workspace(const IgemmWeight<T>& p, int threads) {
  return IgemmWeightWorkspace<T>(p, IgemmWeightBlocking<T>(p), threads, nullptr).slots.total_bytes;
}

}  // namespace fc::cpu::FC_ISA
