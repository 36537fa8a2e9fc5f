// tile_outer.h — the register-tiled micro-kernel of every weight gradient.
//
// Math       out[i][j] (+)= Σ_m rows[m][i] · b[m][j]     i < M, j < V·lanes
// Blocking   M x V vectors of sums stay in registers over all pixels m; per pixel V loads, M broadcasts
// Numerics   each output is one chain of fma, ascending in m
// Edges      b is packed and zero-padded; only `columns` lanes are loaded from and stored to out
// Prefetch   of what comes next, a line per pixel: a burst of its own would fill the queues that rows and b need
#pragma once

#include "cpu/kernels/blocking.h"
#include "cpu/kernels/tile_sums.h"
#include "cpu/simd/stream.h"

namespace fc::cpu::FC_ISA {

template <class T>
struct TileOuter {
  const T* const* rows;
  int64_t offset;  // of element 0 in each row
  const T* b;      // [count][V·lanes]
  int64_t count;
  T* out;
  int64_t out_stride, columns;
  bool accumulate;
  const T* ahead = nullptr;  // asked for on the way: the line of the first pixel's
  int64_t ahead_row = 0;     // elements from one pixel's to the next one's
};

template <class T, int M, int V>
__attribute__((noinline)) void multiply_outer(const TileOuter<T>& t) {
  constexpr int64_t L = kLanes<T>;
  const int64_t tail = t.columns - (V - 1) * L;
  const auto out = [to = t.out, row = t.out_stride](int i) { return to + i * row; };
  TileSums<T, M, V> sums;
  sums.begin(t.accumulate, tail, out);
  const T* b = t.b;
  for (int64_t m = 0; m < t.count; ++m, b += V * L) {
    const T* a = t.rows[m] + t.offset;
    if constexpr (kTileFetches) prefetch(t.ahead, static_cast<uintptr_t>(m * t.ahead_row) * sizeof(T));
    asm("" : "+r"(a));  // without, GCC counts in a + i for every i, and has no registers left for them
    sums.add(b, [a](int i) { return a[i]; });
  }
  sums.write(tail, out);
}

// multiply_outer<T, rows, V> for run-time rows up to M.
template <class T, int M, int V>
FC_INLINE void multiply_outer_up_to(int64_t rows, const TileOuter<T>& t) {
  if constexpr (M > 1) {
    if (rows < M) return multiply_outer_up_to<T, M - 1, V>(rows, t);
  }
  multiply_outer<T, M, V>(t);
}

// Up to outer_rows(vectors) rows of up to kTileVectors vectors.
template <class T, int V = kTileVectors>
inline void multiply_outer(int64_t rows, int64_t vectors, const TileOuter<T>& t) {
  if constexpr (V > 1) {
    if (vectors < V) return multiply_outer<T, V - 1>(rows, vectors, t);
  }
  multiply_outer_up_to<T, outer_rows(V), V>(rows, t);
}

}  // namespace fc::cpu::FC_ISA
