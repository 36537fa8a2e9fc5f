// pack.h — copies a block of B to [depth][width], zero-padded to whole vectors.
//
// The zeros keep the lanes beyond the last column free of garbage; those lanes are never stored.
#pragma once

#include "cpu/kernels/blocking.h"
#include "cpu/kernels/finite.h"
#include "cpu/simd/transpose.h"

namespace fc::cpu::FC_ISA {

// to[k][j] = from[k * stride + j]
template <class T>
inline void pack_rows(const T* from, int64_t stride, int64_t depth, int64_t columns, int64_t width, T* to) {
  for (int64_t k = 0; k < depth; ++k, from += stride, to += width) {
    for_each_vector<T>(columns, [&](int64_t j, int64_t n) { store(to + j, load_up_to(from + j, n)); });
  }
}

// to[k][j] = from[j * stride + k], a square of registers at a time
template <class T>
inline void pack_transposed(const T* from, int64_t stride, int64_t depth, int64_t columns, int64_t width,
                            T* to) {
  constexpr int64_t L = kLanes<T>;
  for (int64_t j = 0; j < width; j += L) {
    const int64_t rows = min_of(L, columns - j);
    for (int64_t k = 0; k < depth; k += L) {
      const int64_t n = min_of(L, depth - k);
      Vec<T> square[L] = {};
      for (int64_t i = 0; i < rows; ++i) square[i] = load_up_to(from + (j + i) * stride + k, n);
      transpose<T>(square);
      for (int64_t i = 0; i < n; ++i) store(to + (k + i) * width + j, square[i]);
    }
  }
}

}  // namespace fc::cpu::FC_ISA
