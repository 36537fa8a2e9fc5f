// winograd_planes.h — both ends of minimal filtering: images into 36 planes, and 36 planes into results.
//
// Math       V = Bᵀ d B of every 6×6 tile of the image; M×M results Y = Aᵀ M A, M + R = 7, see
//            winograd_transform.h
// Edges      pixels outside the image are zeros; results outside the output are computed and dropped. An
//            infinity makes NaNs of the whole 6×6 tile it is in
#pragma once

#include "cpu/kernels/epilogue.h"
#include "cpu/kernels/tile_planes.h"
#include "cpu/kernels/winograd_cells.h"
#include "cpu/kernels/winograd_filter.h"
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

  int64_t zeros_size() const { return 6 * C; }  // what a row of pixels outside of the image reads
};

// Transformed pixels or results of a run of tiles: [point][tile][channel].
template <class T>
struct WinogradPlanes {
  T* data;
  int64_t row, plane;  // elements from one tile to the next, from one point to the next

  WinogradPlanes(int64_t tiles, int64_t channels)
      : data(nullptr), row(channels), plane(plane_size<T>(tiles, row)) {}
  int64_t size() const { return kWinogradPlanes * plane; }
};

// The pixels that a tile reads.
template <class T>
inline WinogradCells<T, 6> winograd_cells(const Winograd<T>& p, const WinogradTiles& tiles, int64_t i,
                                          const T* zeros) {
  const WinogradTile t = tiles.at(i);
  return {p.x + t.n * p.H * p.W * p.C, p.H, p.W, p.C, t.p - p.pad_top, t.q - p.pad_left, zeros};
}

// Tiles of `run` into v, from its row `row` on.
template <class T, int M>
inline void transform_inputs(const Winograd<T>& p, const WinogradTiles& tiles, Range run, const T* zeros,
                             const WinogradPlanes<T>& v, int64_t row) {
  const bool far = outgrows_l2<T>(p.N * p.H * p.W * p.C);
  T* to = v.data + row * v.row;
  for (int64_t i = run.begin; i < run.end; ++i, to += v.row) {
    if (far && i + kTilesAhead < tiles.count) winograd_cells(p, tiles, i + kTilesAhead, zeros).fetch(M, p.C);
    const WinogradCells<T, 6> cells = winograd_cells(p, tiles, i, zeros);
    for_each_vector<T>(p.C, [&](int64_t c, int64_t n) { transform_x<T>(cells, c, n, to + c, v.plane); });
  }
}

// m[point] (+)= v[point] · u[point]: `tiles` rows of v, `vectors` of columns. `t` is the product of the first point.
template <class T>
inline void multiply_points(int64_t tiles, int64_t vectors, TilePlanes<T> t, const WinogradPlanes<T>& v,
                            int64_t u_plane, const WinogradPlanes<T>& m) {
  for (int64_t point = 0; point < kWinogradPlanes; ++point) {
    multiply_planes(tiles, vectors, t);
    t.rows += v.plane, t.b += u_plane, t.out += m.plane;
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

// Asks for the memory of a tile's results, of the filters [first, first + columns), and for what they come to meet.
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

// Rows from `row` of m on into the results of the tiles of `run`, of the filters [first, first + columns).
template <class T, int M>
inline void transform_outputs(const Winograd<T>& p, const WinogradTiles& tiles, Range run, int64_t first,
                              int64_t columns, const WinogradPlanes<T>& m, int64_t row) {
  const bool far = outgrows_l2<T>(p.N * p.P * p.Q * p.K);
  const T* from = m.data + row * m.row;
  for (int64_t i = run.begin; i < run.end; ++i, from += m.row) {
    if (far && i + kTilesAhead < run.end) fetch_results<T, M>(p, tiles.at(i + kTilesAhead), first, columns);
    const WinogradTile t = tiles.at(i);
    T* y = p.y + ((t.n * p.P + t.p) * p.Q + t.q) * p.K + first;
    const int64_t rows = min_of(M, p.P - t.p), line_pixels = min_of(M, p.Q - t.q);
    for_each_vector<T>(columns, [&](int64_t c, int64_t n) {
      transform_output<T, M>(from + c, m.plane, p.epilogue, first + c, n, y + c, p.K, p.Q * p.K, rows,
                             line_pixels);
    });
  }
}

// The activations that are not done in registers, over finished results.
template <class T, int M>
inline void finish_outputs(const Winograd<T>& p, const WinogradTiles& tiles, Range run) {
  if (fits_registers(p.epilogue.activation)) return;
  for (int64_t i = run.begin; i < run.end; ++i) {
    const WinogradTile t = tiles.at(i);
    for (int64_t row = t.p; row < min_of(t.p + M, p.P); ++row) {
      apply_activation(p.epilogue.activation, p.y + ((t.n * p.P + row) * p.Q + t.q) * p.K,
                       min_of(M, p.Q - t.q) * p.K);
    }
  }
}

}  // namespace fc::cpu::FC_ISA
