// tile_planes_outer.h — the register-tiled micro-kernel of weight gradients by minimal filtering.
//
// Math       out[i][j] (+)= Σ_m rows[m][i] · b[m][j]     i < M, j < V·lanes, for `runs` times M rows of out
// Blocking   as tile_outer.h, but rows lie at equal distances and all of out is written
// Numerics   each output is one chain of fma, ascending in m: its bits do not depend on M, V or the run
// Edges      b, rows and out are padded to whole vectors
#pragma once

#include "cpu/kernels/tile_planes.h"

namespace fc::cpu::FC_ISA {

template <class T>
struct TilePlanesOuter {
  const T* rows;
  int64_t row, count;  // elements from one row to the next; rows
  const T* b;          // [count][V·lanes]
  T* out;
  int64_t out_row;
  bool accumulate;

  static constexpr int most_rows(int vectors) { return outer_rows(vectors); }
  void advance(int64_t columns) { rows += columns, out += columns * out_row; }
  template <int M, int V>
  static void multiply(TilePlanesOuter t, int64_t runs);
};

template <class T>
template <int M, int V>
__attribute__((noinline)) void TilePlanesOuter<T>::multiply(TilePlanesOuter t, int64_t runs) {
  constexpr int64_t L = kLanes<T>;
  for (; runs > 0; --runs, t.advance(M)) {
    const auto out = [to = t.out, row = t.out_row](int i) { return to + i * row; };
    TileSums<T, M, V> sums;
    sums.begin(t.accumulate, L, out);
    const T *a = t.rows, *b = t.b;
    for (int64_t m = 0; m < t.count; ++m, a += t.row, b += V * L) {
      sums.add(b, [a](int i) { return a[i]; });
    }
    sums.write(L, out);
  }
}

}  // namespace fc::cpu::FC_ISA
