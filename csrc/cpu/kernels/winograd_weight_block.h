// winograd_weight_block.h — one block of tiles: transformed, and multiplied into the sums of a part of dw.
#pragma once

#include "cpu/kernels/tile_outer.h"
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

// An edge x edge square of cells of a (N, height, width, pixel) tensor; cells outside of it are zeros.
template <class T, int edge>
struct Tile {
  const T* cells[edge][edge];

  Tile(const T* image, int64_t height, int64_t width, int64_t pixel, int64_t h, int64_t w, const T* zeros) {
    for (int i = 0; i < edge; ++i) {
      const bool in = 0 <= h + i && h + i < height;
      const T* line = image + ((h + i) * width + w) * pixel;
      for (int j = 0; j < edge; ++j)
        cells[i][j] = in && 0 <= w + j && w + j < width ? line + j * pixel : zeros;
    }
  }
  FC_INLINE const T* operator()(int i, int j) const { return cells[i][j]; }
};

// The same where no cell lies outside.
template <class T>
struct InnerTile {
  const T* first;
  int64_t line, pixel;

  FC_INLINE const T* operator()(int i, int j) const { return first + i * line + j * pixel; }
};

// to[(i * 6 + j) * plane + c] = (B' d B)[i][j] for every channel c of the tile d.
template <class T, class Cells>
inline void transform_x(const Cells& tile, int64_t channels, T* to, int64_t plane) {
  for_each_vector<T>(channels, [&](int64_t c, int64_t n) {
    Vec<T> half[kWinogradPoints][kWinogradPoints];  // [column][row]
#pragma GCC unroll 6
    for (int j = 0; j < kWinogradPoints; ++j) {
      Vec<T> d[kWinogradPoints];
#pragma GCC unroll 6
      for (int i = 0; i < kWinogradPoints; ++i) d[i] = load_up_to(tile(i, j) + c, n);
      winograd_input<T>(d, half[j]);
    }
#pragma GCC unroll 6
    for (int i = 0; i < kWinogradPoints; ++i) {
      Vec<T> d[kWinogradPoints], v[kWinogradPoints];
#pragma GCC unroll 6
      for (int j = 0; j < kWinogradPoints; ++j) d[j] = half[j][i];
      winograd_input<T>(d, v);
#pragma GCC unroll 6
      for (int j = 0; j < kWinogradPoints; ++j) store(to + (i * kWinogradPoints + j) * plane + c, v[j]);
    }
  });
}

// The same with A d A', and dbias (unless null) += the sum of the tile.
template <class T, int edge, class Cells>
inline void transform_dy(const Cells& tile, int64_t columns, T* to, int64_t plane, T* dbias) {
  for_each_vector<T>(columns, [&](int64_t k, int64_t n) {
    Vec<T> half[edge][kWinogradPoints], total{};
#pragma GCC unroll 4
    for (int j = 0; j < edge; ++j) {
      Vec<T> d[edge];
#pragma GCC unroll 4
      for (int i = 0; i < edge; ++i) d[i] = load_up_to(tile(i, j) + k, n);
      winograd_output_adjoint<T, edge>(d, half[j]);
#pragma GCC unroll 4
      for (int i = 0; i < edge; ++i) total += d[i];
    }
    if (dbias != nullptr) store_up_to(dbias + k, load_up_to(dbias + k, n) + total, n);
#pragma GCC unroll 6
    for (int i = 0; i < kWinogradPoints; ++i) {
      Vec<T> d[edge], v[kWinogradPoints];
#pragma GCC unroll 4
      for (int j = 0; j < edge; ++j) d[j] = half[j][i];
      winograd_output_adjoint<T, edge>(d, v);
#pragma GCC unroll 6
      for (int j = 0; j < kWinogradPoints; ++j) store(to + (i * kWinogradPoints + j) * plane + k, v[j]);
    }
  });
}

// Tiles first … first + count into scratch.x and scratch.dy.
template <class T, int edge>
inline void transform_block(const WinogradPart<T>& b, int64_t first, int64_t count, T* dbias) {
  const Conv2dSpec& s = b.p.s;
  const int64_t tiles_w = b.p.tiles_w(), tiles_h = b.p.tiles_h(), width = b.width();
  for (int64_t t = 0; t < count; ++t) {
    const int64_t tile = first + t, n = tile / (tiles_h * tiles_w);
    const int64_t p = tile / tiles_w % tiles_h * edge, q = tile % tiles_w * edge;
    {
      const int64_t h = p - s.pad_top, w = q - s.pad_left;
      const T* image = b.p.x + n * s.H * s.W * s.C + b.channels.begin;
      T* to = b.scratch.x + t * width;
      if (h >= 0 && w >= 0 && h + kWinogradPoints <= s.H && w + kWinogradPoints <= s.W) {
        transform_x<T>(InnerTile<T>{image + (h * s.W + w) * s.C, s.W * s.C, s.C}, b.channels.size(), to,
                       b.x_plane());
      } else {
        transform_x<T>(Tile<T, kWinogradPoints>(image, s.H, s.W, s.C, h, w, b.zeros), b.channels.size(), to,
                       b.x_plane());
      }
    }
    for (int64_t panel = b.run.begin; panel < b.run.end; ++panel) {
      const int64_t column = b.panels.column_of(panel), columns = b.panels.columns_of(panel);
      const T* image = b.p.dy + n * s.P * s.Q * s.K + column;
      T* to = b.scratch.dy + (column - b.first_column()) * kTileBlock + t * round_up(columns, kLanes<T>);
      T* sums = dbias != nullptr ? dbias + column : nullptr;
      if (p + edge <= s.P && q + edge <= s.Q) {
        transform_dy<T, edge>(InnerTile<T>{image + (p * s.Q + q) * s.K, s.Q * s.K, s.K}, columns, to,
                              b.dy_plane(), sums);
      } else {
        transform_dy<T, edge>(Tile<T, edge>(image, s.P, s.Q, s.K, p, q, b.zeros), columns, to, b.dy_plane(),
                              sums);
      }
    }
  }
}

// sum (+)= x' dy in every plane.
template <class T>
inline void multiply_block(const WinogradPart<T>& b, int64_t count, bool accumulate) {
  const int64_t width = b.columns_width();
  for (int64_t plane = 0; plane < kPlanes; ++plane) {
    for (int64_t panel = b.run.begin; panel < b.run.end; ++panel) {
      const int64_t vectors = b.panels.vectors_of(panel).size(),
                    column = b.panels.column_of(panel) - b.first_column();
      const T* dy = b.scratch.dy + plane * b.dy_plane() + column * kTileBlock;
      T* sum = b.scratch.sum + plane * b.sum_plane() + column;
      for (int64_t c = 0; c < b.channels.size(); c += kTileRows) {
        multiply_outer<T>(min_of(kTileRows, b.channels.size() - c), vectors,
                          {b.scratch.rows, plane * b.x_plane() + c, dy, count, sum + c * width, width,
                           vectors * kLanes<T>, accumulate});
      }
    }
  }
}

// This part of dw = G' sum G. Returns 0, or NaN if some of it is not finite.
template <class T, int taps>
inline T inverse_transform(const WinogradPart<T>& b, T* dw) {
  const int64_t C = b.p.s.C, K = b.p.s.K, width = b.columns_width();
  Vec<T> check{};
  for (int64_t c = 0; c < b.channels.size(); ++c) {
    const T* sum = b.scratch.sum + c * width;
    T* to = dw + (b.channels.begin + c) * K + b.first_column();
    for_each_vector<T>(b.columns(), [&](int64_t k, int64_t n) {
      Vec<T> half[kWinogradPoints][taps];
#pragma GCC unroll 6
      for (int j = 0; j < kWinogradPoints; ++j) {
        Vec<T> m[kWinogradPoints];
#pragma GCC unroll 6
        for (int i = 0; i < kWinogradPoints; ++i)
          m[i] = load(sum + (i * kWinogradPoints + j) * b.sum_plane() + k);
        winograd_filter_adjoint<T, taps>(m, half[j]);
      }
#pragma GCC unroll 5
      for (int r = 0; r < taps; ++r) {
        Vec<T> m[kWinogradPoints], y[taps];
#pragma GCC unroll 6
        for (int j = 0; j < kWinogradPoints; ++j) m[j] = half[j][r];
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
