// winograd_few.h — minimal filtering, as winograd.h, of few tiles: most of the work is about the filters.
//
// Blocking   a task owns a panel of filters. It transforms some of their channels, U stays in L2 meanwhile, and
//            adds its products with V, of all tiles, to M. So U, four times as large as the filters, is never
//            written to memory, as it is where blocks of tiles share it
// Threads    over tiles, over panels, over tiles; each output has one writer
// Numerics   as winograd.h, bit for bit
// Workspace  V, M, zeros; per thread a block of U
// Tried      the same for more tiles, in runs of as many as this takes at once: slower than winograd.h
// Edges      as winograd.h: results are written when all filters have turned out to be finite
#pragma once

#include <algorithm>

#include "core/context.h"
#include "cpu/kernels/winograd_planes.h"
#include "cpu/kernels/workspace.h"

namespace fc::cpu::FC_ISA {

inline constexpr int64_t kFewDepth = 64;  // channels of a block of U: half of L2 is left to V and M
inline constexpr int64_t kPanelsPerThread = 2;

template <class T, int M>
struct FewTilesBlocking {
  WinogradTiles tiles;
  Panels<T> panels;
  int64_t depth;  // channels of a block of U

  FewTilesBlocking(const Winograd<T>& p, int threads)
      : tiles(p.N, p.P, p.Q, M),
        panels(p.K, panel_vectors(ceil_div(p.K, kLanes<T>), threads)),
        depth(min_of(kFewDepth, p.C)) {}

  // Wide, but as many as threads have use for: no bit depends on it.
  static int64_t panel_vectors(int64_t vectors, int threads) {
    int64_t width = kTileVectors;
    while (width > 1 && ceil_div(vectors, width) < kPanelsPerThread * threads) width /= 2;
    return width;
  }
  // The same for any number of threads: a workspace for many of them has to do for fewer.
  int64_t u_plane() const { return plane_size<T>(depth, kTileVectors * kLanes<T>); }
};

template <class T>
struct FewTilesWorkspace {
  WinogradPlanes<T> v, m;
  T* zeros;
  T* check;  // of every panel: 0, or NaN
  SlotWorkspace slots;

  template <int M>
  FewTilesWorkspace(const Winograd<T>& p, const FewTilesBlocking<T, M>& k, int threads, void* base)
      : v(k.tiles.count, round_up(p.C, kLanes<T>)), m(k.tiles.count, k.panels.vectors * kLanes<T>) {
    WorkspaceCutter cutter(base);
    v.data = cutter.take<T>(v.size());
    m.data = cutter.take<T>(m.size());
    zeros = cutter.take<T>(p.zeros_size());
    check = cutter.take<T>(k.panels.count);
    WorkspaceCutter one(nullptr);
    one.take<T>(kWinogradPlanes * k.u_plane());
    slots = SlotWorkspace(cutter, one.bytes(), threads);
  }
};

// u [point][channel of the block][column] of the channels [begin, end) of a panel. Returns 0, or NaN where a filter
// is not finite.
template <class T, int M>
inline T transform_panel(const Winograd<T>& p, const FewTilesBlocking<T, M>& k, int64_t panel, Range channels,
                         T* u) {
  constexpr int64_t L = kLanes<T>;
  constexpr int R = 7 - M;
  const bool far = outgrows_l2<T>(R * R * p.C * p.K);
  const int64_t row = k.panels.width_of(panel);
  const Range vectors = k.panels.vectors_of(panel);
  T check = 0;
  for (int64_t c = channels.begin; c < channels.end; c += L) {
    for (int64_t vector = vectors.begin; vector < vectors.end; ++vector) {
      const int64_t first = vector * L, next = c + L;
      if (far && next < p.C) {
        fetch_filter<T, R>(p.filter, p.C, p.K, next, min_of(L, p.C - next), first, min_of(L, p.K - first));
      }
      T* to = u + (c - channels.begin) * row + (vector - vectors.begin) * L;
      check += transform_piece<T, R>(p.filter, p.C, p.K, c, first, k.u_plane(), to, row);
    }
  }
  return check;
}

// m (+)= v u of a panel's columns, in every plane.
template <class T, int M>
inline void multiply_panel(const FewTilesBlocking<T, M>& k, int64_t panel, Range channels,
                           const WinogradPlanes<T>& v, const T* u, const WinogradPlanes<T>& m) {
  const TilePlanes<T> first{
      v.data + channels.begin, v.row, channels.size(), u, m.data + k.panels.column_of(panel), m.row,
      channels.begin > 0};
  multiply_points(k.tiles.count, k.panels.vectors_of(panel).size(), first, v, k.u_plane(), m);
}

template <class T, int M>
size_t winograd_few_workspace(const Winograd<T>& p, int threads) {
  const FewTilesBlocking<T, M> k(p, threads);
  return FewTilesWorkspace<T>(p, k, threads, nullptr).slots.total_bytes;
}

// False, and nothing written, where a filter is not finite.
template <class T, int M>
bool winograd_few(const Winograd<T>& p, const Context& context) {
  const FewTilesBlocking<T, M> k(p, context.threads);
  const FewTilesWorkspace<T> workspace(p, k, context.threads, context.workspace);
  std::fill_n(workspace.zeros, p.zeros_size(), T(0));
  parallel_for(context.threads, k.tiles.count, [&](int64_t tile) {
    transform_inputs<T, M>(p, k.tiles, {tile, tile + 1}, workspace.zeros, workspace.v, tile);
  });
  parallel_for_slots(context.threads, k.panels.count, [&](int64_t panel, int slot) {
    T* u = workspace.slots.at(slot).template take<T>(kWinogradPlanes * k.u_plane());
    T check = 0;
    for (int64_t c = 0; c < p.C; c += k.depth) {
      const Range channels{c, min_of(c + k.depth, p.C)};
      check += transform_panel(p, k, panel, channels, u);
      multiply_panel(k, panel, channels, workspace.v, u, workspace.m);
    }
    workspace.check[panel] = check;
  });
  T check = 0;
  for (int64_t panel = 0; panel < k.panels.count; ++panel) check += workspace.check[panel];
  if (check != T(0)) return false;
  parallel_for(context.threads, k.tiles.count, [&](int64_t tile) {
    const Range run{tile, tile + 1};
    transform_outputs<T, M>(p, k.tiles, run, 0, p.K, workspace.m, tile);
    finish_outputs<T, M>(p, k.tiles, run);
  });
  return true;
}

}  // namespace fc::cpu::FC_ISA
