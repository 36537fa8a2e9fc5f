// tile.h — the register-tiled micro-kernel of every forward and backward-input product.
//
// Math       out[i][j] (+)= Σ_tap Σ_c rows[tap][i][c] · b[tap·depth + c][j]     i < M, j < V·lanes
// Blocking   M x V vectors of sums stay in registers over all taps; per step V loads of b, M broadcasts
// Numerics   each output is one chain of fma, ascending in (tap, c): its bits do not depend on M, V or the
//            tile it is in, but for the sign of a sum that underflowed to zero, see all_rows_are
// Edges      M and V are template parameters, so no row beyond M is read; b is zero-padded to whole
//            vectors, if need be by the tile that packs it, and only `columns` lanes are stored
// Source     rows by pointer: Dukhan, The Indirect Convolution Algorithm, https://arxiv.org/abs/1907.02129
#pragma once

#include "cpu/kernels/blocking.h"
#include "cpu/kernels/epilogue.h"
#include "cpu/kernels/tile_sums.h"

namespace fc::cpu::FC_ISA {

template <class T>
struct TileProduct {
  const T* const* rows;  // rows[tap * row_stride + i]
  const T* zeros;        // a row outside of the image, or null: see all_rows_are
  int64_t row_stride;
  int64_t taps;
  int64_t offset, depth;  // elements [offset, offset + depth) of each row take part
  const T* b;
  int64_t b_stride;
  T* const* out;  // out[i] + column
  int64_t column, columns;
  bool accumulate;              // out holds the sum so far
  const Epilogue<T>* epilogue;  // on the last block of the sum, else null
};

// Whether rows[0 … M) all begin at `row`: where that one holds zeros, a tap is left out. It would add nothing,
// and at the edges of small images it is a good part of the work.
template <int M, class T>
FC_INLINE bool all_rows_are(const T* const* rows, const T* row) {
  bool all = true;
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i) all &= rows[i] == row;
  return all;
}

// b as it lies ready for a tile: in whole vectors.
template <class T>
struct ReadyColumns {
  const T* b;
  int64_t stride;
  static constexpr bool kSkips = true;  // whether a tap may be left out

  FC_INLINE void turn_to(int64_t) {}
  FC_INLINE void skip(int64_t depth) { b += depth * stride; }
  template <int V>
  FC_INLINE void next(int64_t, Vec<T> (&column)[V]) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) column[v] = load(b + v * kLanes<T>);
    b += stride;
  }
};

// b where nobody has packed it yet; what a tile has read lies at `to` then, ready for the others. Beside the tile's
// products that costs little; a pass of its own is a good part of the work where few rows meet b.
template <class T, class From>
struct FreshColumns {
  const From& from;  // from(tap): where the tap's first row begins
  int64_t row;       // elements from one row to the next
  T* to;
  const T* b = nullptr;
  static constexpr bool kSkips = false;  // the others want all of b

  FC_INLINE void turn_to(int64_t tap) { b = from(tap); }
  template <int V>
  FC_INLINE void next(int64_t tail, Vec<T> (&column)[V]) {
    constexpr int64_t L = kLanes<T>;
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      column[v] = load_up_to(b + v * L, v == V - 1 ? tail : L);
      store(to + v * L, column[v]);
    }
    b += row, to += V * L;
  }
};

template <class T, int M, int V, class Columns>
FC_INLINE void multiply_tile(const TileProduct<T>& t, Columns columns) {
  const int64_t tail = t.columns - (V - 1) * kLanes<T>;  // lanes of the last vector
  const auto out = [rows = t.out, column = t.column](int i) { return rows[i] + column; };
  TileSums<T, M, V> sums;
  sums.begin(t.accumulate, tail, out);

  for (int64_t tap = 0; tap < t.taps; ++tap) {
    if constexpr (Columns::kSkips) {
      if (all_rows_are<M>(t.rows + tap * t.row_stride, t.zeros)) {
        columns.skip(t.depth);
        continue;
      }
    }
    columns.turn_to(tap);
    const T* a[M];
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) a[i] = t.rows[tap * t.row_stride + i] + t.offset;
    for (int64_t c = 0; c < t.depth; ++c) {
      Vec<T> column[V];
      columns.next(tail, column);
      sums.add(column, [&a, c](int i) { return a[i][c]; });
    }
  }

  if (t.epilogue != nullptr) t.epilogue->apply(sums.sum, t.column, tail, out);
  sums.write(tail, out);
}

template <class T, int M, int V>
__attribute__((noinline)) void multiply_tile(const TileProduct<T>& t) {
  multiply_tile<T, M, V>(t, ReadyColumns<T>{t.b, t.b_stride});
}

// The same for tile_rows(vectors) rows and a b that is packed on the way.
template <class T, class From, int V = kTileVectors>
__attribute__((noinline)) void multiply_and_pack(int64_t vectors, const TileProduct<T>& t, const From& from,
                                                 int64_t row, T* to) {
  if constexpr (V > 1) {
    if (vectors < V) return multiply_and_pack<T, From, V - 1>(vectors, t, from, row, to);
  }
  multiply_tile<T, tile_rows(V), V>(t, FreshColumns<T, From>{from, row, to});
}

// multiply_tile<T, rows, V> for run-time rows up to M.
template <class T, int M, int V>
FC_INLINE void multiply_rows_up_to(int64_t rows, const TileProduct<T>& t) {
  if constexpr (M > 1) {
    if (rows < M) return multiply_rows_up_to<T, M - 1, V>(rows, t);
  }
  multiply_tile<T, M, V>(t);
}

// Up to tile_rows(vectors) rows of up to kTileVectors vectors.
template <class T, int V = kTileVectors>
inline void multiply_tile(int64_t rows, int64_t vectors, const TileProduct<T>& t) {
  if constexpr (V > 1) {
    if (vectors < V) return multiply_tile<T, V - 1>(rows, vectors, t);
  }
  multiply_rows_up_to<T, tile_rows(V), V>(rows, t);
}

// One row of up to kStreamVectors vectors.
template <class T, int V = kStreamVectors>
inline void multiply_one_row(int64_t vectors, const TileProduct<T>& t) {
  if constexpr (V > 1) {
    if (vectors < V) return multiply_one_row<T, V - 1>(vectors, t);
  }
  multiply_tile<T, 1, V>(t);
}

}  // namespace fc::cpu::FC_ISA
