// axes.cuh — a loop nest over strided operands, with as few axes as the strides allow.
#pragma once

#include "cuda/device/divider.cuh"

namespace fc::cuda {

inline constexpr int kMaxAxes = 40;  // of two cells or more: 2^40 elements fit no device

// Axes are appended by the host from the innermost outwards; one that goes on where the last one ends joins
// it.
template <int kOperands>
struct Axes {
  int rank = 0;
  int64_t stride[kMaxAxes][kOperands];  // in elements; 0 repeats the operand along the axis
  WideDivider extent[kMaxAxes];

  void append(int64_t e, const int64_t (&s)[kOperands]) {
    if (e == 1) return;
    bool joins = rank > 0;
    for (int k = 0; k < kOperands && joins; ++k)
      joins = s[k] == stride[rank - 1][k] * extent[rank - 1].divisor;
    if (joins) {
      extent[rank - 1].divisor *= e;
      return;
    }
    extent[rank].divisor = e;
    for (int k = 0; k < kOperands; ++k) stride[rank][k] = s[k];
    ++rank;
  }
  // After the last append.
  void prepare_division() {
    const int64_t n = count();
    for (int i = 0; i < rank; ++i) extent[i] = WideDivider(extent[i].divisor, n);
  }

  int64_t count(int first_axis = 0) const {
    int64_t n = 1;
    for (int i = first_axis; i < rank; ++i) n *= extent[i].divisor;
    return n;
  }
  int64_t inner_extent() const { return rank == 0 ? 1 : extent[0].divisor; }
  // Whether operand k moves by a multiple of `cells` along every axis from first_axis outwards.
  bool moves_by(int64_t cells, int k, int first_axis) const {
    for (int i = first_axis; i < rank; ++i) {
      if (stride[i][k] % cells != 0) return false;
    }
    return true;
  }

  // Where the index-th cell over the axes from first_axis outwards, in row-major order, lies in each operand.
  __device__ __forceinline__ void locate(int64_t index, int64_t (&offset)[kOperands],
                                         int first_axis = 0) const {
#pragma unroll
    for (int k = 0; k < kOperands; ++k) offset[k] = 0;
#pragma unroll 1  // inlined in many places: unrolling costs minutes to compile, and few arrays have four axes
    for (int i = first_axis; i < rank; ++i) {
      int64_t cell = index;
      if (i + 1 < rank) {  // the outermost axis needs no division
        index = extent[i].quotient(cell);
        cell -= index * extent[i].divisor;
      }
#pragma unroll
      for (int k = 0; k < kOperands; ++k) offset[k] += cell * stride[i][k];
    }
  }
};

}  // namespace fc::cuda
