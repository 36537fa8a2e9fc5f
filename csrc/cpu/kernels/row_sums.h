// row_sums.h — sums along the rows of a matrix, of as many short rows at once as a register has lanes.
//
// The sum of one row ends in a chain of additions across its lanes, and whatever follows waits for it. Rows side by
// side hide that from each other, and lane_sums.h adds up the lanes of all of them together.
#pragma once

#include "cpu/kernels/reduce.h"
#include "cpu/simd/lane_sums.h"

namespace fc::cpu::FC_ISA {

// A group of rows is read several times: up to here it stays in L1. Longer rows hide their own latency.
template <class T>
inline constexpr int64_t kShortRow = int64_t{16384} / FC_VECTOR_BYTES;

// Lane i of totals[k]: the k-th terms of row i < rows <= lanes; of further rows, nothing.
// add(row, column, count, sums) adds the terms of `count` neighbours to the vectors sums[0..K).
template <class T, int K, class Add>
FC_INLINE void sum_short_rows(int64_t rows, int64_t width, const Add& add, Vec<T> (&totals)[K]) {
  Vec<T> sums[K][kLanes<T>];
  for (int64_t row = rows; row < kLanes<T>; ++row) {
    for (int k = 0; k < K; ++k) sums[k][row] = Vec<T>{};
  }
  for (int64_t row = 0; row < rows; ++row) {
    Vec<T> own[K] = {};
    for_each_vector<T>(width, [&](int64_t c, int64_t count) {
      if (count == kLanes<T>) return add(row, c, count, own);
      Vec<T> tail[K] = {};
      add(row, c, count, tail);
      for (int k = 0; k < K; ++k) own[k] += first_of<T>(tail[k], count);
    });
    for (int k = 0; k < K; ++k) sums[k][row] = own[k];
  }
  for (int k = 0; k < K; ++k) totals[k] = lane_sums<T>(sums[k]);
}

}  // namespace fc::cpu::FC_ISA
