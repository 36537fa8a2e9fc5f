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
  return cutter.take<double>(row_blocks(rows) * columns);
}

inline void sum_bias(const float* dy, int64_t rows, int64_t columns, double* sums, float* dbias, int threads) {
  const int64_t blocks = row_blocks(rows);
  parallel_for(threads_for(rows * columns, threads), blocks, [&](int64_t block) {
    const auto add = [&](int64_t row, int64_t column, int64_t count, Vec<float>(&sum)[1]) {
      sum[0] += load_up_to(dy + row * columns + column, count);
    };
    const int64_t begin = block * kBlockRows;
    sum_columns<float, 1>(begin, min_of(begin + kBlockRows, rows), columns, add, sums + block * columns);
  });
  add_up_blocks(blocks, columns, sums, threads);
  for (int64_t j = 0; j < columns; ++j) dbias[j] = static_cast<float>(sums[j]);
}

}  // namespace fc::cpu::FC_ISA
