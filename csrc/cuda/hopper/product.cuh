// product.cuh — a convolution's product as Hopper's kernels get it; who is M, N and K: device/gather.cuh.
#pragma once

#include "cuda/device/igemm.cuh"
#include "cuda/device/tensor_map.cuh"

namespace fc::cuda {

// Offsets of taps 0, 1, 2, ... along one axis, never below 0: TMA takes no others.
struct TapOffsets {
  int first, step;

  __device__ __forceinline__ int of(int tap) const { return first + tap * step; }
};

// What the blocks of one phase have of their own.
struct HopperPhase {
  TensorMap images;
  Gather gather;
  PixelCell lower;                       // the cell of pixel (0,0) under offset 0; n is 0
  TapOffsets offset_h, offset_w;         // of taps, in cells
  int filter_first, filter_h, filter_w;  // of taps in the filter, in taps: that of tap (0,0), and steps
  int taps, taps_w;
  bool matrix;  // images is the map of a matrix (plan.h)
};

template <Pass kPass, class T>
struct HopperProduct {
  using Result = ResultOf<kPass, T>;

  TensorMap lines;  // w (R·S, C, K) or, of backward_weight, dy (1, N·P·Q, K)
  Result* out;
  float* partial;  // parts x results, or null: one part
  int64_t results;
  int parts, part_steps;
  int column_tiles, columns, channels;  // channels: of the images
  Epilogue<Result> epilogue;
  Tally<Result> tally;
  HopperPhase phase[kPhasesPerLaunch];
};

}  // namespace fc::cuda
