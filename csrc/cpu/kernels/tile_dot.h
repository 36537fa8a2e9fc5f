// tile_dot.h — the micro-kernel for a few columns: lanes run along the channels instead of the columns.
//
// Math       out[i][j] = Σ_tap Σ_c rows[tap][i][c] · b[j][tap·depth + c]     i < M, j < N <= kDotColumns
// Blocking   M x N vectors of sums stay in registers over all taps; per vector of channels M + N loads
// Numerics   per lane one chain of fma, ascending in (tap, c), then the lanes in a fixed tree: the bits do
//            not depend on M or on the tile
// Edges      the last channels are loaded partially, zeros beside them
#pragma once

#include "cpu/kernels/blocking.h"
#include "cpu/kernels/epilogue.h"
#include "cpu/simd/lane_sums.h"

namespace fc::cpu::FC_ISA {

template <class T>
struct TileDot {
  const T* const* rows;  // rows[tap * row_stride + i]
  int64_t row_stride;
  int64_t taps, depth;
  const T* b;  // [columns][taps * depth]
  T* const* out;
  int64_t out_stride;  // between the columns of out
  const Epilogue<T>* epilogue;
  const T* skipped;  // a row that takes no part, or null; only with M = 1
};

template <class T, int M, int N>
__attribute__((noinline)) void multiply_dot(const TileDot<T>& t) {
  Vec<T> sums[M][N];
#pragma GCC unroll 8
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
    for (int j = 0; j < N; ++j) sums[i][j] = Vec<T>{};

  for (int64_t tap = 0; tap < t.taps; ++tap) {
    const T* const* rows = t.rows + tap * t.row_stride;
    if (M == 1 && *rows == t.skipped) continue;
    const T* b = t.b + tap * t.depth;
    for_each_vector<T>(t.depth, [&](int64_t c, int64_t n) {
      Vec<T> column[N];
#pragma GCC unroll 8
      for (int j = 0; j < N; ++j) column[j] = load_up_to(b + j * t.taps * t.depth + c, n);
#pragma GCC unroll 8
      for (int i = 0; i < M; ++i) {
        const Vec<T> value = load_up_to(rows[i] + c, n);
#pragma GCC unroll 8
        for (int j = 0; j < N; ++j) sums[i][j] = fma<T>(value, column[j], sums[i][j]);
      }
    });
  }

  constexpr int kLaneCount = static_cast<int>(kLanes<T>), kSquares = (M * N + kLaneCount - 1) / kLaneCount;
  T totals[(kSquares + 1) * kLaneCount] = {};  // [M][N]; a whole vector may be loaded from each row's
#pragma GCC unroll 8
  for (int square = 0; square < kSquares; ++square) {
    Vec<T> part[kLaneCount];
#pragma GCC unroll 16
    for (int k = 0; k < kLaneCount; ++k) {
      const int at = square * kLaneCount + k;
      part[k] = at < M * N ? sums[at / N][at % N] : Vec<T>{};
    }
    store(totals + square * kLaneCount, lane_sums<T>(part));
  }

  for (int i = 0; i < M; ++i) {
    Vec<T> tile[1][1] = {{load(totals + i * N)}};
    t.epilogue->apply(tile, 0, N, [&](int) { return t.out[i]; });
    if (t.out_stride == 1) {
      store_up_to(t.out[i], tile[0][0], N);
    } else {
      for (int j = 0; j < N; ++j) t.out[i][j * t.out_stride] = tile[0][0][j];
    }
  }
}

// Rows per tile: enough sums to hide the latency of fma, as many as there are registers.
#if FC_VECTOR_BYTES == 64
template <int N>
inline constexpr int kDotRows = N <= 3 ? 8 : 24 / N;
#else
template <int N>
inline constexpr int kDotRows = N <= 2 ? 8 / N : 2;
#endif

// Rows 0 … count, one by one if some may have to be skipped.
template <class T, int N>
inline void multiply_dot_rows(TileDot<T> t, int64_t count) {
  int64_t i = 0;
  const auto next = [&](int rows) { t.rows += rows, t.out += rows, i += rows; };
  if (t.skipped == nullptr) {
    for (; i + kDotRows<N> <= count; next(kDotRows<N>)) multiply_dot<T, kDotRows<N>, N>(t);
  }
  for (; i < count; next(1)) multiply_dot<T, 1, N>(t);
}

template <class T, int N = kDotColumns<T>>
inline void multiply_dot_rows(int64_t columns, const TileDot<T>& t, int64_t count) {
  if constexpr (N > 1) {
    if (columns < N) return multiply_dot_rows<T, N - 1>(columns, t, count);
  }
  multiply_dot_rows<T, N>(t, count);
}

}  // namespace fc::cpu::FC_ISA
