// lanes.h — what happens between the lanes of a register: masks by place, and folding all lanes into one.
#pragma once

#include <utility>

#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {

template <class T, int... Lane>
FC_INLINE IntVec<T> numbered_lanes(std::integer_sequence<int, Lane...>) {
  return IntVec<T>{Lane...};
}

// 0, 1, 2, …
template <class T>
FC_INLINE IntVec<T> lane_numbers() {
  return numbered_lanes<T>(std::make_integer_sequence<int, kLanes<T>>());
}

// v in the first `count` lanes, `rest` in the others.
template <class T>
FC_INLINE Vec<T> first_lanes(Vec<T> v, int64_t count, Vec<T> rest) {
  return lane_numbers<T>() < static_cast<IntLane<T>>(count) ? v : rest;
}

template <class T, int Half, class Op, int... Lane>
FC_INLINE Vec<T> fold_half(Vec<T> v, const Op& op, std::integer_sequence<int, Lane...>) {
  return op(v, __builtin_shufflevector(v, v, ((Lane + Half) % kLanes<T>)...));
}

// Lane 0 holds op over all lanes, in a tree: halves are joined until one is left.
template <class T, int Half = kLanes<T> / 2, class Op>
FC_INLINE T fold(Vec<T> v, const Op& op) {
  if constexpr (Half == 0) {
    return v[0];
  } else {
    return fold<T, Half / 2>(fold_half<T, Half>(v, op, std::make_integer_sequence<int, kLanes<T>>()), op);
  }
}

template <class T>
FC_INLINE T sum_of_lanes(Vec<T> v) {
  return fold<T>(v, [](Vec<T> a, Vec<T> b) { return a + b; });
}
// Without NaN.
template <class T>
FC_INLINE T largest_lane(Vec<T> v) {
  return fold<T>(v, [](Vec<T> a, Vec<T> b) { return max_or_second<T>(a, b); });
}

}  // namespace fc::cpu::FC_ISA
