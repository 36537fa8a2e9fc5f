// amx_bias.h — the bias's gradient, beside a weight gradient on AMX tiles.
//
// Math       dbias[j] = Σ_m dy[m][j]
// Numerics   float32 within blocks of 128 rows, float64 over the blocks (column_sums.h)
#pragma once

#include "core/context.h"
#include "cpu/kernels/column_sums.h"
#include "cpu/kernels/workspace.h"

namespace fc::cpu::FC_ISA {

inline double* take_bias_sums(int64_t rows, int64_t columns, WorkspaceCutter& cutter) {
  return cutter.take<double>(folded_sums_size<float>(rows, columns, 1));
}

inline void sum_bias(const float* dy, int64_t rows, int64_t columns, double* sums, float* dbias,
                     int threads) {
  sum_folded_columns<float, 1>(
      rows, columns, threads_for(rows * columns, threads), sums,
      [&](int64_t at, int64_t, int64_t count, Vec<float>* sum) { sum[0] += load_up_to(dy + at, count); });
  for (int64_t j = 0; j < columns; ++j) dbias[j] = static_cast<float>(sums[j]);
}

}  // namespace fc::cpu::FC_ISA
