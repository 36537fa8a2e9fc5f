// winograd_cells.h — tiles of an image, in place, and their input transform.
//
// Measured   a tile's cells lie in as many places as it has pixels, which processors do not fetch ahead by
//            themselves: on a Zen 5, 128 images 32x32x16 beyond L2 took a weight gradient 3.3 ms, with fetch() 2.2
#pragma once

#include "cpu/kernels/blocking.h"
#include "cpu/kernels/winograd_transform.h"
#include "cpu/simd/stream.h"

namespace fc::cpu::FC_ISA {

// Where a tile of results lies: its image, and the first of them.
struct WinogradTile {
  int64_t n, p, q;
};

// N images of height x width results, cut into tiles of step x step.
struct WinogradTiles {
  int64_t rows, columns, count, step;

  WinogradTiles(int64_t N, int64_t height, int64_t width, int64_t step)
      : rows(ceil_div(height, step)), columns(ceil_div(width, step)), count(N * rows * columns), step(step) {}

  WinogradTile at(int64_t i) const {
    const int64_t row = i / columns, n = row / rows;
    return {n, (row - n * rows) * step, (i - row * columns) * step};
  }
};

// A square of edge x edge cells of a (N, height, width, pixel) tensor. Those outside of the image are zeros:
// a row of `zeros` (edge pixels long), or a column that is not read.
template <class T, int edge>
struct WinogradCells {
  const T* rows[edge];
  int64_t pixel;
  Range columns;  // inside

  WinogradCells(const T* image, int64_t height, int64_t width, int64_t pixel, int64_t h, int64_t w,
                const T* zeros)
      : pixel(pixel), columns{max_of(-w, 0), min_of(width - w, edge)} {
    for (int i = 0; i < edge; ++i) {
      const bool inside = 0 <= h + i && h + i < height;
      rows[i] = inside ? image + ((h + i) * width + w) * pixel : zeros;
    }
  }

  // d[i] = channels c … c + n of cell (i, j), or zero.
  FC_INLINE void load_column(int j, int64_t c, int64_t n, Vec<T> (&d)[edge]) const {
    const bool inside = columns.begin <= j && j < columns.end;
#pragma GCC unroll 6
    for (int i = 0; i < edge; ++i) d[i] = inside ? load_up_to(rows[i] + j * pixel + c, n) : Vec<T>{};
  }

  // Asks for `channels` of the cells that no tile before this one, in steps of `step`, has.
  FC_INLINE void fetch(int step, int64_t channels) const {
    for (int i = edge - step; i < edge; ++i) {
      for (int64_t j = max_of(columns.begin, edge - step); j < columns.end; ++j) {
        prefetch_run(rows[i] + j * pixel, channels);
      }
    }
  }
};

// to[(i * 6 + j) * plane] = (Bᵀ d B)[i][j] of channels c … c + n of the tile d.
template <class T>
FC_INLINE void transform_x(const WinogradCells<T, 6>& tile, int64_t c, int64_t n, T* to, int64_t plane) {
  Vec<T> half[6][6];  // [column][row]
#pragma GCC unroll 6
  for (int j = 0; j < 6; ++j) {
    Vec<T> d[6];
    tile.load_column(j, c, n, d);
    winograd_input<T>(d, half[j]);
  }
#pragma GCC unroll 6
  for (int i = 0; i < 6; ++i) {
    Vec<T> d[6], v[6];
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) d[j] = half[j][i];
    winograd_input<T>(d, v);
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) store(to + (i * 6 + j) * plane, v[j]);
  }
}

}  // namespace fc::cpu::FC_ISA
