// axes.h — a loop nest over strided operands, with as few axes as the strides allow.
#pragma once

#include "cpu/kernels/work.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {

inline constexpr int kMaxRank = 64;  // NumPy's own limit

// Axes are appended from the innermost outwards; one that goes on where the last one ends joins it.
template <int kOperands>
struct Axes {
  int rank = 0;
  int64_t extent[kMaxRank];
  int64_t stride[kMaxRank][kOperands];  // in elements; 0 repeats the operand along the axis

  void append(int64_t e, const int64_t (&s)[kOperands]) {
    bool joins = rank > 0;
    for (int k = 0; k < kOperands && joins; ++k) joins = s[k] == stride[rank - 1][k] * extent[rank - 1];
    if (joins) {
      extent[rank - 1] *= e;
      return;
    }
    extent[rank] = e;
    for (int k = 0; k < kOperands; ++k) stride[rank][k] = s[k];
    ++rank;
  }

  int64_t count(int first_axis = 0) const {
    int64_t n = 1;
    for (int i = first_axis; i < rank; ++i) n *= extent[i];
    return n;
  }

  // Where the index-th cell over the axes from first_axis outwards, in row-major order, lies in each operand.
  void locate(int64_t index, int first_axis, int64_t (&offset)[kOperands]) const {
    for (int k = 0; k < kOperands; ++k) offset[k] = 0;
    for (int i = first_axis; i < rank; ++i) {
      int64_t cell = index;
      if (i + 1 < rank) {  // the outermost axis needs no division
        index = cell / extent[i];
        cell -= index * extent[i];
      }
      for (int k = 0; k < kOperands; ++k) offset[k] += cell * stride[i][k];
    }
  }
};

// Calls f(offset, n) for every stretch of n cells along the innermost axis; long ones are cut for the
// threads. offset[k] is where operand k's stretch begins.
template <int kOperands, class F>
void for_each_stretch(const Axes<kOperands>& axes, int threads, const F& f) {
  const int64_t run = axes.extent[0];
  const int64_t total = axes.count();
  if (total == 0) return;
  const int64_t piece = min_of(run, kBlockElements);
  const int64_t pieces = ceil_div(run, piece);
  const int64_t outer = axes.count(1);
  parallel_blocks(threads_for(total, threads), outer * pieces, rows_per_block(piece),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t i = begin; i < end; ++i) {
                      const int64_t index = pieces == 1 ? i : i / pieces;
                      const int64_t start = (i - index * pieces) * piece;
                      int64_t offset[kOperands];
                      axes.locate(index, 1, offset);
                      for (int k = 0; k < kOperands; ++k) offset[k] += start * axes.stride[0][k];
                      f(offset, min_of(piece, run - start));
                    }
                  });
}

}  // namespace fc::cpu::FC_ISA
