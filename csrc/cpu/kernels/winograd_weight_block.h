// winograd_weight_block.h — one block of tiles: transformed, and multiplied into the sums of a part of dw.
#pragma once

#include "cpu/kernels/tile_planes_outer.h"
#include "cpu/kernels/winograd_cells.h"
#include "cpu/kernels/winograd_weight_problem.h"

namespace fc::cpu::FC_ISA {

// A part of dw, and a slot's memory for it.
template <class T>
struct WinogradPart {
  const WinogradWeight<T>& p;
  const WinogradWeightScratch<T>& scratch;
  const Panels<T>& panels;
  const T* zeros;
  Range channels, run;  // run: of panels

  int64_t width() const { return round_up(channels.size(), kLanes<T>); }
  int64_t first_column() const { return panels.column_of(run.begin); }
  int64_t columns() const { return panels.column_of(run.end) - first_column(); }
  int64_t columns_width() const { return round_up(columns(), kLanes<T>); }
  int64_t x_plane() const { return plane_size<T>(kTileBlock, width()); }
  int64_t dy_plane() const { return plane_size<T>(kTileBlock, columns_width()); }
  int64_t sum_plane() const { return plane_size<T>(channels.size(), columns_width()); }
};

// to[(i * 6 + j) * plane] = (A d Aᵀ)[i][j] of columns k … k + n of the tile d. Returns the tile's sum.
template <class T, int edge>
FC_INLINE Vec<T> transform_dy(const WinogradCells<T, edge>& tile, int64_t k, int64_t n, T* to,
                              int64_t plane) {
  Vec<T> half[edge][6], total{};
#pragma GCC unroll 4
  for (int j = 0; j < edge; ++j) {
    Vec<T> d[edge];
    tile.load_column(j, k, n, d);
    winograd_output_adjoint<T, edge>(d, half[j]);
    Vec<T> column = d[0] + d[edge - 1];
    if constexpr (edge == 4) column += d[1] + d[2];
    total += column;
  }
#pragma GCC unroll 6
  for (int i = 0; i < 6; ++i) {
    Vec<T> d[edge], v[6];
#pragma GCC unroll 4
    for (int j = 0; j < edge; ++j) d[j] = half[j][i];
    winograd_output_adjoint<T, edge>(d, v);
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) store(to + (i * 6 + j) * plane, v[j]);
  }
  return total;
}

// Tile i's cells of x, of this part's channels.
template <class T>
inline WinogradCells<T, 6> x_cells(const WinogradPart<T>& b, const WinogradTile& t) {
  const Conv2dSpec& s = b.p.s;
  return {b.p.x + t.n * s.H * s.W * s.C + b.channels.begin,
          s.H,
          s.W,
          s.C,
          t.p - s.pad_top,
          t.q - s.pad_left,
          b.zeros};
}

// Its results of dy, of columns `column` ….
template <class T, int edge>
inline WinogradCells<T, edge> dy_cells(const WinogradPart<T>& b, const WinogradTile& t, int64_t column) {
  const Conv2dSpec& s = b.p.s;
  return {b.p.dy + t.n * s.P * s.Q * s.K + column, s.P, s.Q, s.K, t.p, t.q, b.zeros};
}

// Tiles first … first + count of x into scratch.x.
template <class T, int edge>
inline void transform_x_block(const WinogradPart<T>& b, int64_t first, int64_t count) {
  const Conv2dSpec& s = b.p.s;
  const bool far = outgrows_l2<T>(s.N * s.H * s.W * s.C);
  const WinogradTiles tiles = b.p.tiles();
  const int64_t plane = b.x_plane();
  T* to = b.scratch.x;
  for (int64_t i = first; i < first + count; ++i, to += b.width()) {
    if (far && i + kTilesAhead < tiles.count) {
      x_cells(b, tiles.at(i + kTilesAhead)).fetch(edge, b.channels.size());
    }
    const WinogradCells<T, 6> x = x_cells(b, tiles.at(i));
    for_each_vector<T>(b.channels.size(),
                       [&](int64_t c, int64_t n) { transform_x<T>(x, c, n, to + c, plane); });
  }
}

// Those of dy into scratch.dy; dbias, unless null, += the sums of dy.
template <class T, int edge>
inline void transform_dy_block(const WinogradPart<T>& b, int64_t first, int64_t count, T* dbias) {
  const Conv2dSpec& s = b.p.s;
  const bool far = outgrows_l2<T>(s.N * s.P * s.Q * s.K);
  const WinogradTiles tiles = b.p.tiles();
  const int64_t plane = b.dy_plane();
  for (int64_t i = 0; i < count; ++i) {
    if (const int64_t ahead = first + i + kTilesAhead; far && ahead < tiles.count) {
      dy_cells<T, edge>(b, tiles.at(ahead), b.first_column()).fetch(edge, b.columns());
    }
    const WinogradTile t = tiles.at(first + i);
    for (int64_t panel = b.run.begin; panel < b.run.end; ++panel) {
      const int64_t column = b.panels.column_of(panel), columns = b.panels.columns_of(panel);
      const WinogradCells<T, edge> dy = dy_cells<T, edge>(b, t, column);
      T* to = b.scratch.dy + (column - b.first_column()) * kTileBlock + i * round_up(columns, kLanes<T>);
      T* sums = dbias != nullptr ? dbias + column : nullptr;
      for_each_vector<T>(columns, [&](int64_t k, int64_t n) {
        const Vec<T> total = transform_dy<T, edge>(dy, k, n, to + k, plane);
        if (sums != nullptr) store_up_to(sums + k, load_up_to(sums + k, n) + total, n);
      });
    }
  }
}

// sum (+)= xᵀ dy in every plane.
template <class T>
inline void multiply_block(const WinogradPart<T>& b, int64_t count, bool accumulate) {
  for (int64_t plane = 0; plane < kWinogradPlanes; ++plane) {
    for (int64_t panel = b.run.begin; panel < b.run.end; ++panel) {
      const int64_t vectors = b.panels.vectors_of(panel).size(),
                    column = b.panels.column_of(panel) - b.first_column();
      const T* dy = b.scratch.dy + plane * b.dy_plane() + column * kTileBlock;
      T* sum = b.scratch.sum + plane * b.sum_plane() + column;
      const TilePlanesOuter<T> t{
          b.scratch.x + plane * b.x_plane(), b.width(), count, dy, sum, b.columns_width(), accumulate};
      multiply_planes(b.channels.size(), vectors, t);
    }
  }
}

// This part of dw = Gᵀ sum G. Returns 0, or NaN if some of it is not finite.
template <class T, int taps>
inline T inverse_transform(const WinogradPart<T>& b, T* dw) {
  const int64_t C = b.p.s.C, K = b.p.s.K, width = b.columns_width();
  Vec<T> check{};
  for (int64_t c = 0; c < b.channels.size(); ++c) {
    const T* sum = b.scratch.sum + c * width;
    T* to = dw + (b.channels.begin + c) * K + b.first_column();
    for_each_vector<T>(b.columns(), [&](int64_t k, int64_t n) {
      Vec<T> half[6][taps];
#pragma GCC unroll 6
      for (int j = 0; j < 6; ++j) {
        Vec<T> m[6];
#pragma GCC unroll 6
        for (int i = 0; i < 6; ++i) m[i] = load(sum + (i * 6 + j) * b.sum_plane() + k);
        winograd_filter_adjoint<T, taps>(m, half[j]);
      }
#pragma GCC unroll 5
      for (int r = 0; r < taps; ++r) {
        Vec<T> m[6], y[taps];
#pragma GCC unroll 6
        for (int j = 0; j < 6; ++j) m[j] = half[j][r];
        winograd_filter_adjoint<T, taps>(m, y);
#pragma GCC unroll 5
        for (int s = 0; s < taps; ++s) {
          check = fma<T>(y[s], Vec<T>{}, check);
          store_up_to(to + (r * taps + s) * C * K + k, y[s], n);
        }
      }
    });
  }
  return fc::cpu::FC_ISA::sum<T>(check);
}

}  // namespace fc::cpu::FC_ISA
