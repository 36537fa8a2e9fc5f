// batch_norm_sums.h — the two sums per column that the gradients of batch normalisation consist of.
//
// Math       sums[c] = Σ_r g[r,c]      sums[width + c] = Σ_r g[r,c]·(x[r,c] − mean[c])
// Numerics   column_sums.h
#pragma once

#include "cpu/kernels/column_sums.h"

namespace fc::cpu::FC_ISA {

// dy as the activation lets it through.
template <class T>
struct AllOpen {
  const T* dy;
  FC_INLINE Vec<T> at(int64_t i, int64_t count) const { return load_up_to(dy + i, count); }
};

// `mean` is as wide as a folded row, `sums` has folded_sums_size<T>(rows, width, 2) doubles.
template <class T, class Gate>
inline void sum_gradients(int64_t rows, int64_t width, const Gate& gate, const T* x, const T* mean,
                          double* sums, int threads) {
  const auto add = [=](int64_t at, int64_t c, int64_t count, Vec<T>* sum) {
    const Vec<T> g = gate.at(at, count);
    sum[0] += g;
    sum[1] = fma<T>(g, load_up_to(x + at, count) - load_up_to(mean + c, count), sum[1]);
  };
  sum_folded_columns<T, 2>(rows, width, threads, sums, add);
}

}  // namespace fc::cpu::FC_ISA
