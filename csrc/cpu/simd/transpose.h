// transpose.h — a square of registers, transposed in registers.
#pragma once

#include <utility>

#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {

// a0 b0 a1 b1 …: of the lower halves of a and b (Half 0), or of the upper ones (Half 1).
template <class T, int Half, int... Lane>
FC_INLINE Vec<T> interleave(Vec<T> a, Vec<T> b, std::integer_sequence<int, Lane...>) {
  constexpr int kCount = sizeof...(Lane);
  return __builtin_shufflevector(a, b, (Half * kCount / 2 + Lane / 2 + Lane % 2 * kCount)...);
}

// rows[i][j] <-> rows[j][i]: interleaving the first half of the rows with the second, log2(lanes) times.
template <class T>
FC_INLINE void transpose(Vec<T> (&rows)[kLanes<T>]) {
  constexpr int L = kLanes<T>;
  using Lanes = std::make_integer_sequence<int, L>;
#pragma GCC unroll 4
  for (int step = 1; step < L; step *= 2) {
    Vec<T> next[L];
#pragma GCC unroll 16
    for (int i = 0; i < L / 2; ++i) {
      next[2 * i] = interleave<T, 0>(rows[i], rows[i + L / 2], Lanes());
      next[2 * i + 1] = interleave<T, 1>(rows[i], rows[i + L / 2], Lanes());
    }
#pragma GCC unroll 16
    for (int i = 0; i < L; ++i) rows[i] = next[i];
  }
}

}  // namespace fc::cpu::FC_ISA
