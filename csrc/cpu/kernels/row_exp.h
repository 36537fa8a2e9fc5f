// row_exp.h — the largest of a row, and exp(x - largest): what softmax and cross-entropy are made of.
#pragma once

#include "cpu/kernels/reduce.h"
#include "cpu/simd/lanes.h"
#include "cpu/simd/math.h"

namespace fc::cpu::FC_ISA {

// The largest of a row without NaN; a NaN shows up in the sum of exponentials whatever this returns.
template <class T>
FC_INLINE T row_max(const T* x, int64_t width) {
  constexpr int64_t L = kLanes<T>;
  Vec<T> best = broadcast(x[0]);
  int64_t i = 0;
  if (width >= 4 * L) {  // four chains, because a maximum takes four cycles
    Vec<T> chain[4] = {best, best, best, best};
    for (; i + 4 * L <= width; i += 4 * L) {
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) chain[k] = max_or_second<T>(load(x + i + k * L), chain[k]);
    }
    best = max_or_second<T>(max_or_second<T>(chain[0], chain[1]), max_or_second<T>(chain[2], chain[3]));
  }
  for (; i + L <= width; i += L) best = max_or_second<T>(load(x + i), best);
  if (i < width)
    best = max_or_second<T>(first_lanes<T>(load_partial(x + i, width - i), width - i, best), best);
  return largest_lane<T>(best);
}

// Σ f(i, count) over a row: blocks in T, their sums in double, so that the error does not grow with the row.
template <class T, class F>
FC_INLINE double row_sum(int64_t width, const F& f) {
  constexpr int64_t L = kLanes<T>;
  double total = 0;
  for (int64_t begin = 0; begin < width; begin += kSumBlock) {
    const int64_t end = min_of(begin + kSumBlock, width);
    Vec<T> sums = zero<T>();
    int64_t i = begin;
    for (; i + L <= end; i += L) sums += f(i, L);
    if (i < end) sums += first_lanes<T>(f(i, end - i), end - i, zero<T>());
    total += static_cast<double>(sum_of_lanes<T>(sums));
  }
  return total;
}

}  // namespace fc::cpu::FC_ISA
