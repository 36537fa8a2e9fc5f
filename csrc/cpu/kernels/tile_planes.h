// tile_planes.h — the register-tiled micro-kernel of minimal filtering: many small products of equal shape.
//
// Math       out[i][j] (+)= Σ_c rows[i][c] · b[c][j]     i < M, j < V·lanes, for `runs` times M rows
// Blocking   as tile.h, but rows lie at equal distances: no pointer to each has to be made, loaded and kept
//            in a register, which allows for more rows and costs less where the depth is small
// Numerics   each output is one chain of fma, ascending in c: its bits do not depend on M, V or the run
// Edges      b, rows and out are padded to whole vectors. out may be rows: a run is read before it is written
// Others     multiply_planes cuts the work of any such kernel into runs: a Tile has most_rows(V), advance(rows)
//            and multiply<M, V>(tile, runs), see tile_planes_outer.h
#pragma once

#include "cpu/kernels/blocking.h"
#include "cpu/kernels/tile_sums.h"

namespace fc::cpu::FC_ISA {

template <class T>
struct TilePlanes {
  const T* rows;
  int64_t row, depth;  // elements from one row to the next; that take part
  const T* b;          // [depth][V·lanes]
  T* out;
  int64_t out_row;
  bool accumulate;  // out holds the sum of the channels before these

  static constexpr int most_rows(int vectors) { return min_of(outer_rows(vectors), 12); }  // 16: 1 % slower
  void advance(int64_t count) { rows += count * row, out += count * out_row; }
  template <int M, int V>
  static void multiply(TilePlanes t, int64_t runs);
};

template <class T>
template <int M, int V>
__attribute__((noinline)) void TilePlanes<T>::multiply(TilePlanes t, int64_t runs) {
  constexpr int64_t L = kLanes<T>;
  for (; runs > 0; --runs, t.advance(M)) {
    const auto out = [to = t.out, row = t.out_row](int i) { return to + i * row; };
    TileSums<T, M, V> sums;
    sums.begin(t.accumulate, L, out);

    const T* thirds[(M + 2) / 3];  // every third row: the two after it are reached by an index
#pragma GCC unroll 8
    for (int i = 0; i < (M + 2) / 3; ++i) thirds[i] = t.rows + 3 * i * t.row;
    const T* b = t.b;
    for (int64_t c = 0; c < t.depth; ++c, b += V * L) {
      sums.add(b, [&thirds, row = t.row, c](int i) { return thirds[i / 3][i % 3 * row + c]; });
    }
    sums.write(L, out);
  }
}

// `runs` times `rows` rows, up to M.
template <int M, int V, class Tile>
FC_INLINE void multiply_runs(int64_t rows, const Tile& t, int64_t runs) {
  if constexpr (M > 1) {
    if (rows < M) return multiply_runs<M - 1, V>(rows, t, runs);
  }
  Tile::template multiply<M, V>(t, runs);
}

// `count` rows of up to kTileVectors vectors, in runs that differ by one row at most.
template <int V = kTileVectors, class Tile>
inline void multiply_planes(int64_t count, int64_t vectors, Tile t) {
  if constexpr (V > 1) {
    if (vectors < V) return multiply_planes<V - 1>(count, vectors, t);
  }
  if (count == 0) return;
  constexpr int most = Tile::most_rows(V);
  const int64_t runs = ceil_div(count, most), rows = count / runs, longer = count % runs;
  if (longer > 0) multiply_runs<most, V>(rows + 1, t, longer);
  t.advance(longer * (rows + 1));
  multiply_runs<most, V>(rows, t, runs - longer);
}

}  // namespace fc::cpu::FC_ISA
