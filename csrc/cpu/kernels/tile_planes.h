// tile_planes.h — the register-tiled micro-kernel of minimal filtering: many small products of equal shape.
//
// Math       out[i][j] (+)= Σ_c rows[i][c] · b[c][j]     i < M, j < V·lanes, for `runs` times M rows
// Blocking   as tile.h, but rows lie at equal distances: no pointer to each has to be made, loaded and kept
//            in a register, which allows for more rows and costs less where the depth is small
// Numerics   each output is one chain of fma, ascending in c: its bits do not depend on M, V or the run
// Edges      b, rows and out are padded to whole vectors. out may be rows: a run is read before it is written
#pragma once

#include "cpu/kernels/blocking.h"

namespace fc::cpu::FC_ISA {

template <class T>
struct TilePlanes {
  const T* rows;
  int64_t row, depth;  // elements from one row to the next; that take part
  const T* b;          // [depth][V·lanes]
  T* out;
  int64_t out_row;
  bool accumulate;  // out holds the sum of the channels before these
};

template <class T, int M, int V>
__attribute__((noinline)) void multiply_runs(TilePlanes<T> t, int64_t runs) {
  constexpr int64_t L = kLanes<T>;
  for (; runs > 0; --runs, t.rows += M * t.row, t.out += M * t.out_row) {
    Vec<T> sum[M][V];
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[i][v] = Vec<T>{};
    if (t.accumulate) {
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) sum[i][v] = load(t.out + i * t.out_row + v * L);
    }

    const T* thirds[(M + 2) / 3];  // every third row: the two after it are reached by an index
#pragma GCC unroll 8
    for (int i = 0; i < (M + 2) / 3; ++i) thirds[i] = t.rows + 3 * i * t.row;
    const T* b = t.b;
    for (int64_t c = 0; c < t.depth; ++c, b += V * L) {
      Vec<T> column[V];
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) column[v] = load(b + v * L);
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i) {
        const Vec<T> value = broadcast(thirds[i / 3][i % 3 * t.row + c]);
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) sum[i][v] = fma<T>(value, column[v], sum[i][v]);
      }
    }

#pragma GCC unroll 16
    for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) store(t.out + i * t.out_row + v * L, sum[i][v]);
  }
}

template <class T, int M, int V>
FC_INLINE void multiply_runs_up_to(int64_t rows, const TilePlanes<T>& t, int64_t runs) {
  if constexpr (M > 1) {
    if (rows < M) return multiply_runs_up_to<T, M - 1, V>(rows, t, runs);
  }
  multiply_runs<T, M, V>(t, runs);
}

// `count` rows of up to kTileVectors vectors, in runs that differ by one row at most.
template <class T, int V = kTileVectors>
inline void multiply_planes(int64_t count, int64_t vectors, TilePlanes<T> t) {
  if constexpr (V > 1) {
    if (vectors < V) return multiply_planes<T, V - 1>(count, vectors, t);
  }
  if (count == 0) return;
  const int64_t runs = ceil_div(count, outer_rows(V)), rows = count / runs, longer = count % runs;
  if (longer > 0) multiply_runs_up_to<T, outer_rows(V), V>(rows + 1, t, longer);
  t.rows += longer * (rows + 1) * t.row, t.out += longer * (rows + 1) * t.out_row;
  multiply_runs_up_to<T, outer_rows(V), V>(rows, t, runs - longer);
}

}  // namespace fc::cpu::FC_ISA
