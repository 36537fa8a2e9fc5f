// folded.h — a narrow (rows, width) matrix as a wider one whose rows fill registers.
//
// With 3 columns and 16 lanes, 16 rows are one folded row of 48 elements: three whole registers instead of
// sixteen that are mostly empty. What belongs to a column is repeated as often as rows were folded.
#pragma once

#include "cpu/kernels/work.h"
#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {

struct Folded {
  int64_t factor;  // rows in a folded row
  int64_t rows, width;
  int64_t rest;  // elements behind the last whole folded row
};

// Wider rows than these waste little, and repeating their columns costs more.
template <class T>
inline constexpr int64_t kFoldBelow = 4 * kLanes<T>;
template <class T>
inline constexpr int64_t kMaxFoldedWidth = kFoldBelow<T> * kLanes<T>;

template <class T>
inline Folded folded(int64_t rows, int64_t width) {
  const int64_t common =
      min_of(width & -width, kLanes<T>);  // greatest common divisor: lanes are a power of two
  const int64_t factor = 0 < width && width < kFoldBelow<T> ? kLanes<T> / common : 1;
  return {factor, rows / factor, factor * width, rows % factor * width};
}

// to[i * width + c] = from[c]
template <class T>
inline void repeat_columns(const T* from, int64_t width, int64_t factor, T* to) {
  for (int64_t i = 0; i < factor; ++i) {
    for (int64_t c = 0; c < width; ++c) *to++ = from[c];
  }
}

// One value per column, as a folded row needs it: the caller's own array, or repeated ones in `storage` of
// kMaxFoldedWidth elements.
template <class T>
inline const T* folded_columns(const T* from, int64_t width, const Folded& f, T* storage) {
  if (f.factor == 1) return from;
  repeat_columns(from, width, f.factor, storage);
  return storage;
}

}  // namespace fc::cpu::FC_ISA
