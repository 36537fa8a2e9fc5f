// reduce.h — sums whose order depends on the length alone, so the same bits come out for any number of
// threads.
#pragma once

#include "cpu/kernels/work.h"
#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {

inline constexpr int64_t kSumBlock = 4096;  // terms added in one go before their sum joins a double

// Sum of f(i) over [0, n) in double: eight interleaved sums, which the compiler keeps in registers, then a
// tree.
template <class F>
FC_INLINE double sum_of(int64_t n, const F& f) {
  constexpr int64_t kSums = 8;
  double sums[kSums] = {};
  int64_t i = 0;
  for (; i + kSums <= n; i += kSums) {
    for (int64_t j = 0; j < kSums; ++j) sums[j] += f(i + j);
  }
  for (int64_t j = 0; i + j < n; ++j) sums[j] += f(i + j);
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

// v without its lanes from `count` on, which hold terms of nothing.
template <class T>
FC_INLINE Vec<T> first_of(Vec<T> v, int64_t count) {
  T lanes[kLanes<T>];
  store(lanes, v);
  return load_partial(lanes, count);
}

// K sums at once over [0, n): add(i, count, sums) adds the terms of `count` elements at i to the vectors
// sums[0..K). A block of kSumBlock terms is added in T, blocks are added in double.
template <class T, int K, class Add>
FC_INLINE void sum_vectors(int64_t n, const Add& add, double (&totals)[K]) {
  constexpr int64_t kUnroll = 4;
  constexpr int64_t L = kLanes<T>;
  for (int k = 0; k < K; ++k) totals[k] = 0;
  for (int64_t begin = 0; begin < n; begin += kSumBlock) {
    const int64_t end = min_of(begin + kSumBlock, n);
    Vec<T> sums[kUnroll][K] = {};
    int64_t i = begin;
    for (; i + kUnroll * L <= end; i += kUnroll * L) {
      for (int64_t u = 0; u < kUnroll; ++u) add(i + u * L, L, sums[u]);
    }
    for (; i + L <= end; i += L) add(i, L, sums[0]);
    if (i < end) {
      Vec<T> tail[K] = {};
      add(i, end - i, tail);
      for (int k = 0; k < K; ++k) sums[0][k] += first_of<T>(tail[k], end - i);
    }
    for (int k = 0; k < K; ++k) {
      totals[k] += sum<T>((sums[0][k] + sums[2][k]) + (sums[1][k] + sums[3][k]));
    }
  }
}

}  // namespace fc::cpu::FC_ISA
