// outer_rows.h — a dense layer's weight gradient from a few samples: bound by the memory it is written to.
//
// Math       dw[k,n] = Σ_m x[m,k] · dy[m,n],  dbias[n] = Σ_m dy[m,n]     M <= kOuterRows
// Blocking   whole rows of dw, one behind the other, so that it is written as it lies; dy stays in L1
// Threads    over blocks of rows, one writer each
// Numerics   one chain of fma per dw, ascending in m, as igemm_weight.h; dbias likewise a chain of additions
// Edges      the last vector of a row is stored partially
#pragma once

#include "core/context.h"
#include "cpu/kernels/work.h"
#include "cpu/parallel.h"
#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {

inline constexpr int64_t kOuterRows = 4;  // samples, at most

// dw[k, :] for k in [begin, end).
template <class T, int M>
void write_outer_rows(const T* x, int64_t depth, const T* dy, int64_t columns, int64_t begin, int64_t end,
                      T* dw) {
  for (int64_t k = begin; k < end; ++k) {
    Vec<T> value[M];
    for (int m = 0; m < M; ++m) value[m] = broadcast(x[m * depth + k]);
    for_each_vector<T>(columns, [&](int64_t j, int64_t count) {
      Vec<T> sum{};
#pragma GCC unroll 4
      for (int m = 0; m < M; ++m) sum = fma<T>(value[m], load_up_to(dy + m * columns + j, count), sum);
      store_up_to(dw + k * columns + j, sum, count);
    });
  }
}

template <class T, int M = kOuterRows>
void outer_rows(int64_t rows, const T* x, int64_t depth, const T* dy, int64_t columns, T* dw, T* dbias,
                int threads) {
  if constexpr (M > 1) {
    if (rows < M) return outer_rows<T, M - 1>(rows, x, depth, dy, columns, dw, dbias, threads);
  }
  const int64_t block = rows_per_block(columns);
  parallel_blocks(threads_for(depth * columns, threads), depth, block, [&](int64_t begin, int64_t end) {
    write_outer_rows<T, M>(x, depth, dy, columns, begin, end, dw);
  });
  if (dbias == nullptr) return;
  for_each_vector<T>(columns, [&](int64_t j, int64_t count) {
    Vec<T> sum{};
    for (int m = 0; m < M; ++m) sum += load_up_to(dy + m * columns + j, count);
    store_up_to(dbias + j, sum, count);
  });
}

}  // namespace fc::cpu::FC_ISA
