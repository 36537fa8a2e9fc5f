// amx_weight.h — weight and bias gradients of a dense layer on AMX tiles.
//
// Math       dw[c][k] = Σ_m x[m][c] · dy[m][k],  dbias[k] = Σ_m dy[m][k]
// Shapes     x (rows,C)  dy (rows,K)  dw (C,K)  dbias (K) or null
// Blocking   amx_gemm.h, its depth being the rows
// Numerics   as amx_tile.h; dbias: float32 within blocks of rows, float64 over the blocks (column_sums.h)
#pragma once

#include "cpu/kernels/amx_gemm.h"
#include "cpu/kernels/column_sums.h"

namespace fc::cpu::FC_ISA {

struct AmxWeight {
  int64_t parts, rows, C, K;
  const float *x, *dy;
  float *dw, *dbias;

  AmxGemm product() const { return {parts, C, K, rows, {x, 1, C, false}, {dy, 1, K, true}, dw, {}, true}; }
  double* take_sums(WorkspaceCutter& cutter) const {
    return cutter.take<double>(folded_sums_size<float>(rows, K, 1));
  }
};

inline size_t amx_weight_workspace(const AmxWeight& p, int threads) {
  WorkspaceCutter cutter(nullptr);
  p.take_sums(cutter);
  return cutter.bytes() + amx_gemm_workspace(p.product(), threads);
}

inline bool amx_weight(const AmxWeight& p, const Context& context) {
  WorkspaceCutter cutter(context.workspace);
  double* sums = p.take_sums(cutter);
  if (!amx_gemm(p.product(), {reinterpret_cast<void*>(cutter.end()), context.threads})) return false;
  if (p.dbias == nullptr) return true;
  sum_folded_columns<float, 1>(
      p.rows, p.K, threads_for(p.rows * p.K, context.threads), sums,
      [&](int64_t at, int64_t, int64_t count, Vec<float>* sum) { sum[0] += load_up_to(p.dy + at, count); });
  for (int64_t k = 0; k < p.K; ++k) p.dbias[k] = static_cast<float>(sums[k]);
  return true;
}

}  // namespace fc::cpu::FC_ISA
