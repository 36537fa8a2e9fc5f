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

// Folded rows fill whole registers, four of them where they can. Rows that are wider waste little, and
// repeating their columns would cost more.
template <class T>
inline constexpr int64_t kFoldBelow = 4 * kLanes<T>;
template <class T>
inline constexpr int64_t kMaxFoldedWidth = kFoldBelow<T> * kLanes<T>;

template <class T>
inline Folded folded(int64_t rows, int64_t width) {
  if (width == 0 || width >= kFoldBelow<T>) return {1, rows, width, 0};
  const int64_t common =
      min_of(width & -width, kLanes<T>);  // greatest common divisor: lanes are a power of two
  const int64_t whole = kLanes<T> / common;
  const int64_t factor = whole * max_of(1, kFoldBelow<T> / (whole * width));
  return {factor, rows / factor, factor * width, rows % factor * width};
}

// to[i * width + c] = from[c]
template <class T>
inline void repeat_columns(const T* from, int64_t width, int64_t factor, T* to) {
  for (int64_t i = 0; i < factor; ++i) {
    for (int64_t c = 0; c < width; ++c) *to++ = from[c];
  }
}

// The first `width` elements of `columns`, repeated behind them.
template <class T>
inline void repeat_in_place(T* columns, int64_t width, int64_t factor) {
  if (factor > 1) repeat_columns(columns, width, factor - 1, columns + width);
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
