// depthwise_line.h — a line of a depthwise product: what it reads, and where its results go.
#pragma once

#include "cpu/kernels/axis.h"
#include "cpu/kernels/epilogue.h"

namespace fc::cpu::FC_ISA {

inline constexpr int kLinePositions = FC_VECTOR_BYTES == 64 ? 6 : 4;
inline constexpr int kLineVectors = 2;

template <class T>
struct DepthwiseLine {
  const T* const* lines;  // per tap row: cell 0 of its line, or null outside the image
  int64_t taps_h;
  Axis w;            // its taps ascending
  int64_t channels;  // also the elements from one cell, and one filter tap, to the next
  const T* filter;   // filter + r * filter_h + s * filter_w: the channels' weights
  int64_t filter_h, filter_w;
  T* out;
  int64_t out_step;  // elements from one position to the next
  Epilogue<T> epilogue;
  Range newest{0, 0};  // the tap rows that no line before this one has read; none where all is in L2
};

}  // namespace fc::cpu::FC_ISA
