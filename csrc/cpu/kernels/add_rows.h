// add_rows.h — the sum of a few rows that lie in L1: what a block of dy adds to the gradient of a bias.
#pragma once

#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {

// out[j] (+)= Σ_m rows[m · stride + j]     j < columns. Four chains of sums hide the latency of the
// additions.
template <class T>
inline void add_rows(const T* rows, int64_t count, int64_t stride, int64_t columns, bool accumulate, T* out) {
  for_each_vector<T>(columns, [&](int64_t j, int64_t n) {
    Vec<T> sum[4] = {};
    int64_t m = 0;
    for (; m + 4 <= count; m += 4) {
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) sum[i] += load_up_to(rows + (m + i) * stride + j, n);
    }
    for (; m < count; ++m) sum[0] += load_up_to(rows + m * stride + j, n);
    Vec<T> total = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    if (accumulate) total += load_up_to(out + j, n);
    store_up_to(out + j, total, n);
  });
}

}  // namespace fc::cpu::FC_ISA
