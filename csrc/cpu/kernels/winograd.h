// winograd.h — stride-1 convolution by minimal filtering F(M×M, R×R), M + R = 7: forward and backward-input.
//
// Math       per 6×6 tile of the image: Y = Aᵀ [ Σ_c (G g Gᵀ) ∘ (Bᵀ d B) ] A, see winograd_transform.h.
//            36 products for M²R² = 144 (3×3) or 100 (5×5)
// Blocking   a task owns a block of tiles: its 36 planes V [tile][c] and, for one run of panels, M [tile][k]
//            stay in L2 between input transform, 36 matrix products (tile_planes.h) and output transform.
//            Where there are few tiles, winograd_few.h
// Threads    over blocks of tiles; each output has one writer
// Numerics   relative error (L2) about 6e-7 at C = 64 and 1.2e-6 at C = 256, 3 to 6 times that of direct sums
// Workspace  U once; zeros; per thread V and M, which is written in V's place where there is one panel
// Edges      as winograd_planes.h; filters that are not finite are refused
// Source     Lavin and Gray, https://arxiv.org/abs/1509.09308
#pragma once

#include <algorithm>

#include "core/context.h"
#include "cpu/kernels/winograd_planes.h"
#include "cpu/kernels/workspace.h"

namespace fc::cpu::FC_ISA {

// What V and M of a block of tiles may take: they stay in L2 beside a plane of U. Where they are one, the number of
// tiles is the same, and half of it is taken.
inline constexpr int64_t kWinogradBytes = FC_VECTOR_BYTES == 64 ? 1 << 20 : 384 << 10;
// Each task reads all of U, from L3 where it is large: fewer tiles would wait for it.
inline constexpr int64_t kWinogradMinTiles = 32;

template <class T, int M>
struct WinogradBlocking {
  Panels<T> panels;
  WinogradTiles tiles;
  int64_t block, blocks;  // tiles per task
  int64_t c_row, k_row;   // elements of a tile's row in V and in M
  bool in_place;          // M takes the place of V, which no other panel needs

  explicit WinogradBlocking(const Winograd<T>& p)
      : panels(p.K),
        tiles(p.N, p.P, p.Q, M),
        c_row(round_up(p.C, kLanes<T>)),
        k_row(min_of(panels.vectors, kTileVectors) * kLanes<T>),
        in_place(panels.count == 1 && k_row <= c_row) {
    const int64_t bytes_per_tile = kWinogradPlanes * (c_row + k_row) * static_cast<int64_t>(sizeof(T));
    const int64_t most = max_of(kWinogradBytes / bytes_per_tile, kWinogradMinTiles);
    // Equal shares for threads.
    blocks = round_up(ceil_div(tiles.count, most), tiles.count >= 8 * kWinogradMinTiles ? 8 : 2);
    block = ceil_div(tiles.count, max_of(blocks, 1));
    if (in_place) k_row = c_row;
  }
};

template <class T>
struct WinogradScratch {
  WinogradPlanes<T> v, m;

  template <int M>
  WinogradScratch(const WinogradBlocking<T, M>& k, WorkspaceCutter& cutter)
      : v(k.block, k.c_row), m(k.block, k.k_row) {
    v.data = cutter.take<T>(v.size());
    m.data = k.in_place ? v.data : cutter.take<T>(m.size());
  }
};

template <class T>
struct WinogradWorkspace {
  T* u;
  T* sums;  // of transform_filters
  T* zeros;
  SlotWorkspace slots;

  template <int M>
  WinogradWorkspace(const Winograd<T>& p, const WinogradBlocking<T, M>& k, int threads, void* base) {
    WorkspaceCutter cutter(base);
    u = cutter.take<T>(kWinogradPlanes * winograd_u_stride(p.C, k.panels));
    sums = cutter.take<T>(winograd_filter_pieces(p.C, k.panels));
    zeros = cutter.take<T>(p.zeros_size());
    WorkspaceCutter one(nullptr);
    WinogradScratch<T>(k, one);
    slots = SlotWorkspace(cutter, one.bytes(), threads);
  }
};

// M = V U for one panel of filters, in every plane
template <class T, int M>
inline void multiply_panel(const Winograd<T>& p, const WinogradBlocking<T, M>& k, int64_t panel,
                           int64_t tiles, const T* u, const WinogradScratch<T>& scratch) {
  const auto& [v, m] = scratch;
  const Range vectors = k.panels.vectors_of(panel);
  const TilePlanes<T> first{v.data, v.row, p.C, u + vectors.begin * kLanes<T> * p.C, m.data, m.row, false};
  multiply_points(tiles, vectors.size(), first, v, winograd_u_stride(p.C, k.panels), m);
}

template <class T, int M>
size_t winograd_workspace(const Winograd<T>& p, int threads) {
  const WinogradBlocking<T, M> k(p);
  return WinogradWorkspace<T>(p, k, threads, nullptr).slots.total_bytes;
}

// False, and nothing written, where a filter is not finite.
template <class T, int M>
bool winograd(const Winograd<T>& p, const Context& context) {
  const WinogradBlocking<T, M> k(p);
  const WinogradWorkspace<T> workspace(p, k, context.threads, context.workspace);
  if (!transform_filters<T, 7 - M>(p.filter, p.C, p.K, workspace.u, workspace.sums, context.threads))
    return false;
  std::fill_n(workspace.zeros, p.zeros_size(), T(0));
  parallel_for_slots(context.threads, k.blocks, [&](int64_t task, int slot) {
    const Range tiles = part_of(k.tiles.count, k.blocks, task);
    WorkspaceCutter cutter = workspace.slots.at(slot);
    const WinogradScratch<T> scratch(k, cutter);
    transform_inputs<T, M>(p, k.tiles, tiles, workspace.zeros, scratch.v, 0);
    for (int64_t panel = 0; panel < k.panels.count; ++panel) {
      multiply_panel(p, k, panel, tiles.size(), workspace.u, scratch);
      transform_outputs<T, M>(p, k.tiles, tiles, k.panels.column_of(panel), k.panels.columns_of(panel),
                              scratch.m, 0);
    }
    finish_outputs<T, M>(p, k.tiles, tiles);
  });
  return true;
}

}  // namespace fc::cpu::FC_ISA
