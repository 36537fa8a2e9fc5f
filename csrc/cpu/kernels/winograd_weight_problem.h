// winograd_weight_problem.h — a weight gradient by Winograd's transforms: how it is cut, the memory it needs.
#pragma once

#include "core/conv2d_spec.h"
#include "cpu/kernels/igemm_problem.h"
#include "cpu/kernels/winograd_adjoint.h"
#include "cpu/kernels/winograd_cells.h"
#include "cpu/kernels/workspace.h"

namespace fc::cpu::FC_ISA {

template <class T>
struct WinogradWeight {
  const Conv2dSpec& s;
  const T* x;
  const T* dy;
  T* dw;
  T* dbias;  // or null

  int64_t edge() const { return 7 - s.R; }  // of a tile of dy
  WinogradTiles tiles() const { return {s.N, s.P, s.Q, edge()}; }
  int64_t weights() const { return s.R * s.S * s.C * s.K; }
};

// A task sums a chunk of tiles, a block at a time, for a part of dw: a run of vectors of channels x a run of
// column panels. Its 36 planes of sums, and of a block's transforms, stay in L2. Chunks depend on the shape alone; no
// bit depends on the parts: a single task becomes several, of fewer channels, where there are threads for them.
template <class T>
struct WinogradWeightBlocking {
  Panels<T> panels;
  int64_t vectors, channel_runs, column_runs, chunks;
  int64_t most_channels;  // of a part for one thread: a workspace for many of them has to do for fewer

  WinogradWeightBlocking(const WinogradWeight<T>& p, int threads)
      : panels(p.s.K), vectors(ceil_div(p.s.C, kLanes<T>)) {
    const int64_t edge = kWinogradEdge / kLanes<T>, panel = min_of(kTileVectors, panels.vectors);
    const int64_t channel_run = min_of(vectors, max_of(edge, edge * edge / panels.vectors));
    column_runs = ceil_div(panels.count, max_of(edge * edge / channel_run / panel, 1));
    channel_runs = ceil_div(vectors, channel_run);
    const int64_t most = min_of(kTasks / parts(), p.tiles().count / kMinChunkTiles);
    chunks = 1;  // a power of two: equal shares for most numbers of threads
    while (2 * chunks <= most) chunks *= 2;
    most_channels = ceil_div(vectors, channel_runs) * kLanes<T>;
    while (tasks() < threads && channel_runs < vectors) channel_runs = min_of(2 * channel_runs, vectors);
  }

  int64_t parts() const { return channel_runs * column_runs; }
  int64_t tasks() const { return chunks * parts(); }
  Range channels_of(int64_t run, int64_t channels) const {
    const Range v = part_of(vectors, channel_runs, run);
    return {v.begin * kLanes<T>, min_of(v.end * kLanes<T>, channels)};
  }
  int64_t most_columns() const {
    return min_of(ceil_div(panels.count, column_runs) * kTileVectors, panels.vectors) * kLanes<T>;
  }
};

// One thread's private memory.
template <class T>
struct WinogradWeightScratch {
  T* x;    // [plane][tile of the block][channel]
  T* dy;   // [plane][panel][tile of the block][width]
  T* sum;  // [plane][channel][column]

  WinogradWeightScratch(const WinogradWeightBlocking<T>& k, WorkspaceCutter& cutter)
      : x(cutter.take<T>(kWinogradPlanes * plane_size<T>(kTileBlock, k.most_channels))),
        dy(cutter.take<T>(kWinogradPlanes * plane_size<T>(kTileBlock, k.most_columns()))),
        sum(cutter.take<T>(kWinogradPlanes * plane_size<T>(k.most_channels, k.most_columns()))) {}
};

template <class T>
struct WinogradWeightWorkspace {
  T* zeros;
  T* dw;     // [chunks][weights]; dw itself when there is one chunk
  T* dbias;  // [chunks][K]
  T* check;  // [tasks]: 0 unless something is not finite
  SlotWorkspace slots;

  WinogradWeightWorkspace(const WinogradWeight<T>& p, const WinogradWeightBlocking<T>& k, int threads,
                          void* base) {
    WorkspaceCutter cutter(base);
    zeros = cutter.take<T>(zeros_size(p, k));
    dw = k.chunks > 1 ? cutter.take<T>(k.chunks * p.weights()) : p.dw;
    dbias = k.chunks > 1 ? cutter.take<T>(k.chunks * p.s.K) : p.dbias;
    check = cutter.take<T>(k.tasks());
    WorkspaceCutter one(nullptr);
    WinogradWeightScratch<T>(k, one);
    slots = SlotWorkspace(cutter, one.bytes(), threads);
  }

  // What a row of cells outside of the image reads.
  static int64_t zeros_size(const WinogradWeight<T>& p, const WinogradWeightBlocking<T>& k) {
    return max_of(5 * p.s.C + k.most_channels, (p.edge() - 1) * p.s.K + k.most_columns());
  }
};

}  // namespace fc::cpu::FC_ISA
