// lane_sums.h — the sums of many registers' lanes at once: one register of totals.
#pragma once

#include <utility>

#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {

// a and b hold groups of Group lanes; the halves of each group are added: groups of half the size, a's first.
template <class T, int Group, int... Lane>
FC_INLINE Vec<T> add_halves(Vec<T> a, Vec<T> b, std::integer_sequence<int, Lane...>) {
  constexpr int kHalf = Group / 2;
  return __builtin_shufflevector(a, b, (Lane / kHalf * Group + Lane % kHalf)...) +
         __builtin_shufflevector(a, b, (Lane / kHalf * Group + Lane % kHalf + kHalf)...);
}

// Lane i of the result is sum(v[i]), added in the same tree. v is overwritten.
template <class T, int Group = static_cast<int>(kLanes<T>)>
FC_INLINE Vec<T> lane_sums(Vec<T> (&v)[kLanes<T>]) {
  if constexpr (Group == 1) {
    return v[0];
  } else {
#pragma GCC unroll 8
    for (int i = 0; i < Group / 2; ++i) {
      v[i] = add_halves<T, Group>(v[2 * i], v[2 * i + 1], std::make_integer_sequence<int, kLanes<T>>());
    }
    return lane_sums<T, Group / 2>(v);
  }
}

}  // namespace fc::cpu::FC_ISA
