// igemm.cuh — a convolution's product as its kernels get it; who is M, N and K: gather.cuh.
#pragma once

#include "cuda/device/epilogue.cuh"
#include "cuda/device/gather.cuh"

namespace fc::cuda {

enum class Pass { forward, backward_input, backward_weight };

inline constexpr int kPhasesPerLaunch = 4;  // a stride of 2 has four

template <class T>
struct Igemm {
  const T *a, *b;
  T* out;
  int columns;  // of a group
  int groups;
  int64_t b_line;  // elements from one line (a column, where they lie transposed) of B to the next
  int64_t a_group, b_group, out_group;  // elements from one group to the next
  bool chunks_a, chunks_b, chunks_out;  // whether 16 bytes of neighbours may be moved at once
  int phases;
  Gather phase[kPhasesPerLaunch];
  Epilogue<T> epilogue;
};

}  // namespace fc::cuda
