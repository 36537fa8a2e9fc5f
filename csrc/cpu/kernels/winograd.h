// winograd.h — stride-1 convolution by minimal filtering F(M×M, R×R), M + R = 7: forward and backward-input.
//
// Math       per 6×6 tile of the image: Y = Aᵀ [ Σ_c (G g Gᵀ) ∘ (Bᵀ d B) ] A, see winograd_transform.h.
//            36 products for M²R² = 144 (3×3) or 100 (5×5)
// Blocking   a task owns a block of tiles: its 36 planes V [tile][c] and, for one run of panels, M [tile][k]
//            stay in L2 between input transform, 36 matrix products (tile_planes.h) and output transform
// Threads    over blocks of tiles; each output has one writer
// Numerics   relative error (L2) about 6e-7 at C = 64 and 1.2e-6 at C = 256, 3 to 6 times that of direct sums
// Workspace  U once; zeros; per thread V and M, which is written in V's place where there is one panel
// Edges      pixels outside the image are zeros; results outside the output are computed and dropped. An
//            infinity makes NaNs of the whole 6×6 tile it is in; filters that are not finite are refused
// Source     Lavin and Gray, https://arxiv.org/abs/1509.09308
#pragma once

#include <algorithm>

#include "core/context.h"
#include "cpu/kernels/epilogue.h"
#include "cpu/kernels/tile_planes.h"
#include "cpu/kernels/winograd_cells.h"
#include "cpu/kernels/winograd_filter.h"
#include "cpu/kernels/workspace.h"
#include "cpu/simd/stream.h"

namespace fc::cpu::FC_ISA {

template <class T>
struct Winograd {
  const T* x;
  int64_t N, H, W, C;
  T* y;
  int64_t P, Q, K;
  int64_t pad_top, pad_left;
  WinogradFilter<T> filter;
  Epilogue<T> epilogue;
};

// What V and M of a block of tiles may take: they stay in L2 beside a plane of U. Where they are one, the number of
// tiles is the same, and half of it is taken.
inline constexpr int64_t kWinogradBytes = FC_VECTOR_BYTES == 64 ? 1 << 20 : 384 << 10;
// Each task reads all of U, from L3 where it is large: fewer tiles would wait for it.
inline constexpr int64_t kWinogradMinTiles = 32;
inline constexpr int64_t kWinogradPlanes = kWinogradPoints * kWinogradPoints;

template <class T, int M>
struct WinogradBlocking {
  Panels<T> panels;
  WinogradTiles tiles;
  int64_t block, blocks;  // tiles per task
  int64_t c_row, k_row;   // elements of a tile's row in V and in M
  bool in_place;          // M takes the place of V, which no other panel needs
  int64_t v_plane, m_plane;

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
    // As winograd_u_stride.
    v_plane = block * c_row + kLanes<T>, m_plane = block * k_row + kLanes<T>;
  }
};

template <class T>
struct WinogradScratch {
  T* v;
  T* m;

  template <int M>
  WinogradScratch(const WinogradBlocking<T, M>& k, WorkspaceCutter& cutter)
      : v(cutter.take<T>(kWinogradPlanes * k.v_plane)),
        m(k.in_place ? v : cutter.take<T>(kWinogradPlanes * k.m_plane)) {}
};

template <class T>
struct WinogradWorkspace {
  T* u;
  T* sums;   // of transform_filters
  T* zeros;  // what a row of pixels outside of the image reads
  SlotWorkspace slots;

  template <int M>
  WinogradWorkspace(const Winograd<T>& p, const WinogradBlocking<T, M>& k, int threads, void* base) {
    WorkspaceCutter cutter(base);
    u = cutter.take<T>(kWinogradPlanes * winograd_u_stride(p.C, k.panels));
    sums = cutter.take<T>(winograd_filter_pieces(p.C, k.panels));
    zeros = cutter.take<T>(zeros_size(p));
    WorkspaceCutter one(nullptr);
    WinogradScratch<T>(k, one);
    slots = SlotWorkspace(cutter, one.bytes(), threads);
  }

  static int64_t zeros_size(const Winograd<T>& p) { return 6 * p.C; }
};

// The pixels that a tile reads.
template <class T, int M>
inline WinogradCells<T, 6> winograd_cells(const Winograd<T>& p, const WinogradBlocking<T, M>& k, int64_t i,
                                          const T* zeros) {
  const WinogradTile t = k.tiles.at(i);
  return {p.x + t.n * p.H * p.W * p.C, p.H, p.W, p.C, t.p - p.pad_top, t.q - p.pad_left, zeros};
}

template <class T, int M>
inline void transform_inputs(const Winograd<T>& p, const WinogradBlocking<T, M>& k, Range tiles,
                             const T* zeros, T* v) {
  const bool far = outgrows_l2<T>(p.N * p.H * p.W * p.C);
  for (int64_t i = tiles.begin; i < tiles.end; ++i, v += k.c_row) {
    if (far && i + kTilesAhead < k.tiles.count) {
      winograd_cells(p, k, i + kTilesAhead, zeros).fetch(M, p.C);
    }
    const WinogradCells<T, 6> cells = winograd_cells(p, k, i, zeros);
    for_each_vector<T>(p.C, [&](int64_t c, int64_t n) { transform_x<T>(cells, c, n, v + c, k.v_plane); });
  }
}

// M[point] = V[point] · U[point] for one panel of filters
template <class T, int M>
inline void multiply_points(const Winograd<T>& p, const WinogradBlocking<T, M>& k, int64_t panel,
                            int64_t tiles, const T* u, const WinogradScratch<T>& scratch) {
  const Range vectors = k.panels.vectors_of(panel);
  TilePlanes<T> t{scratch.v, k.c_row, p.C, u + vectors.begin * kLanes<T> * p.C, scratch.m, k.k_row};
  for (int64_t point = 0; point < kWinogradPlanes; ++point) {
    multiply_planes(tiles, vectors.size(), t);
    t.rows += k.v_plane, t.b += winograd_u_stride(p.C, k.panels), t.out += k.m_plane;
  }
}

// y[i][j] (i < rows, j < columns) = Aᵀ M A, then the epilogue, for n <= lanes filters
template <class T, int M>
FC_INLINE void transform_output(const T* m, int64_t plane, const Epilogue<T>& epilogue, int64_t k, int64_t n,
                                T* y, int64_t pixel, int64_t line, int64_t rows, int64_t columns) {
  Vec<T> half[M][6], result[M * M][1];
#pragma GCC unroll 6
  for (int j = 0; j < 6; ++j) {
    Vec<T> points[6], column[M];
#pragma GCC unroll 6
    for (int i = 0; i < 6; ++i) points[i] = load(m + (i * 6 + j) * plane);
    winograd_output<T, M>(points, column);
#pragma GCC unroll 4
    for (int i = 0; i < M; ++i) half[i][j] = column[i];
  }
#pragma GCC unroll 4
  for (int i = 0; i < M; ++i) {
    Vec<T> row[M];
    winograd_output<T, M>(half[i], row);
#pragma GCC unroll 4
    for (int j = 0; j < M; ++j) result[i * M + j][0] = row[j];
  }
  epilogue.apply(result, k, n, [&](int i) {
    return i / M < rows && i % M < columns ? y + i / M * line + i % M * pixel : nullptr;
  });
#pragma GCC unroll 4
  for (int i = 0; i < M; ++i) {
    if (i >= rows) break;
#pragma GCC unroll 4
    for (int j = 0; j < M; ++j) {
      if (j < columns) store_up_to(y + i * line + j * pixel, result[i * M + j][0], n);
    }
  }
}

// Asks for the results of a tile, of the filters [first, first + columns), and for what they come to meet.
template <class T, int M>
FC_INLINE void fetch_results(const Winograd<T>& p, const WinogradTile& t, int64_t first, int64_t columns) {
  for (int64_t row = t.p; row < min_of(t.p + M, p.P); ++row) {
    const T* y = p.y + ((t.n * p.P + row) * p.Q + t.q) * p.K + first;
    for (int64_t j = 0; j < min_of(M, p.Q - t.q); ++j, y += p.K) {
      prefetch_run<1>(y, columns);
      p.epilogue.fetch(y, columns);
    }
  }
}

template <class T, int M>
inline void transform_outputs(const Winograd<T>& p, const WinogradBlocking<T, M>& k, int64_t panel,
                              Range tiles, const WinogradScratch<T>& scratch) {
  const int64_t first = k.panels.column_of(panel), columns = k.panels.columns_of(panel);
  const bool far = p.epilogue.fetches() && outgrows_l2<T>(p.N * p.P * p.Q * p.K);
  for (int64_t i = tiles.begin; i < tiles.end; ++i) {
    if (far && i + kTilesAhead < tiles.end) {
      fetch_results<T, M>(p, k.tiles.at(i + kTilesAhead), first, columns);
    }
    const WinogradTile t = k.tiles.at(i);
    const T* m = scratch.m + (i - tiles.begin) * k.k_row;
    T* y = p.y + ((t.n * p.P + t.p) * p.Q + t.q) * p.K + first;
    const int64_t rows = min_of(M, p.P - t.p), line_pixels = min_of(M, p.Q - t.q);
    for_each_vector<T>(columns, [&](int64_t c, int64_t n) {
      transform_output<T, M>(m + c, k.m_plane, p.epilogue, first + c, n, y + c, p.K, p.Q * p.K, rows,
                             line_pixels);
    });
  }
}

// The activations that are not done in registers, over finished results.
template <class T, int M>
inline void finish_outputs(const Winograd<T>& p, const WinogradBlocking<T, M>& k, Range tiles) {
  if (fits_registers(p.epilogue.activation)) return;
  for (int64_t i = tiles.begin; i < tiles.end; ++i) {
    const WinogradTile t = k.tiles.at(i);
    for (int64_t row = t.p; row < min_of(t.p + M, p.P); ++row) {
      apply_activation(p.epilogue.activation, p.y + ((t.n * p.P + row) * p.Q + t.q) * p.K,
                       min_of(M, p.Q - t.q) * p.K);
    }
  }
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
  std::fill_n(workspace.zeros, workspace.zeros_size(p), T(0));
  parallel_for_slots(context.threads, k.blocks, [&](int64_t task, int slot) {
    const Range tiles = part_of(k.tiles.count, k.blocks, task);
    WorkspaceCutter cutter = workspace.slots.at(slot);
    const WinogradScratch<T> scratch(k, cutter);
    transform_inputs(p, k, tiles, workspace.zeros, scratch.v);
    for (int64_t panel = 0; panel < k.panels.count; ++panel) {
      multiply_points(p, k, panel, tiles.size(), workspace.u, scratch);
      transform_outputs(p, k, panel, tiles, scratch);
    }
    finish_outputs(p, k, tiles);
  });
  return true;
}

}  // namespace fc::cpu::FC_ISA
