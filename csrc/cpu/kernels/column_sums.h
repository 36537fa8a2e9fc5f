// column_sums.h — sums down the columns of a (rows, width) matrix: what gradients of per-channel parameters
// are.
//
// Rows are cut into blocks of kBlockRows. Inside a block a strip of columns is summed in registers in T; the
// blocks' sums are doubles in the workspace and are added in ascending order. Nothing depends on the number
// of threads, and the rounding error grows with kBlockRows, not with rows.
#pragma once

#include "cpu/kernels/work.h"
#include "cpu/parallel.h"
#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {

inline constexpr int64_t kBlockRows = 128;

// At least one: the empty block writes the zeros of an empty sum.
constexpr int64_t row_blocks(int64_t rows) {
  return max_of(1, ceil_div(rows, kBlockRows));
}

// V registers of columns (the last one `count` wide when V is 1), K sums each.
template <class T, int K, int V, class Add>
FC_INLINE void sum_strip(int64_t begin, int64_t end, int64_t column, int64_t count, int64_t width,
                         const Add& add, double* out) {
  constexpr int64_t L = kLanes<T>;
  Vec<T> sums[V][K] = {};
  for (int64_t row = begin; row < end; ++row) {
    for (int v = 0; v < V; ++v) add(row, column + v * L, count, sums[v]);
  }
  for (int v = 0; v < V; ++v) {
    for (int k = 0; k < K; ++k) {
      for (int64_t i = 0; i < count; ++i) out[k * width + column + v * L + i] = sums[v][k][i];
    }
  }
}

// out[k * width + c] = sum over rows [begin, end) of the k-th term in column c.
// add(row, column, count, sums) adds the terms of `count` neighbours to the vectors sums[0..K).
template <class T, int K, class Add>
FC_INLINE void sum_columns(int64_t begin, int64_t end, int64_t width, const Add& add, double* out) {
  constexpr int kWide = 4;  // independent sums hide the latency of the additions
  constexpr int64_t L = kLanes<T>;
  int64_t column = 0;
  for (; column + kWide * L <= width; column += kWide * L) {
    sum_strip<T, K, kWide>(begin, end, column, L, width, add, out);
  }
  for (; column + L <= width; column += L) sum_strip<T, K, 1>(begin, end, column, L, width, add, out);
  if (column < width) sum_strip<T, K, 1>(begin, end, column, width - column, width, add, out);
}

// Adds the blocks' sums, each `n` doubles, into the first block's place.
inline void add_up_blocks(int64_t blocks, int64_t n, double* partial, int threads) {
  constexpr int64_t kPiece = 256;
  parallel_blocks(threads_for(blocks * n, threads), n, kPiece, [&](int64_t begin, int64_t end) {
    for (int64_t b = 1; b < blocks; ++b) {
      for (int64_t i = begin; i < end; ++i) partial[i] += partial[b * n + i];
    }
  });
}

}  // namespace fc::cpu::FC_ISA
