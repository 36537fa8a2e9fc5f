// tile_store.cuh — the sums of a block, on their way from registers to memory.
//
// A block's accumulators are spread over its threads as the products want them, not as memory does. They
// pass through shared memory a slice of rows at a time, and leave as whole chunks of 16 bytes.
//
// Sums is what a kernel gives: kSlices, kSliceRows; stage<slice>(float* stage, int pitch) writes the
// thread's part of a slice; row(slice, i) is the row of the tile that row i of the slice stands for. Four rows
// from a multiple of four on stay together.
#pragma once

#include "cuda/device/igemm.cuh"

namespace fc::cuda {

inline constexpr int kStagePad = 8;  // floats: a warp of mma.cuh's accumulators then meets every bank once

template <class Sums, int kColumns>
constexpr size_t stage_bytes() {
  return sizeof(float) * Sums::kSliceRows * (kColumns + kStagePad);
}

// Stages slice number `slice`; the sums are in registers, which only constants can name.
template <int kSlice = 0, class Sums>
__device__ __forceinline__ void stage_slice(const Sums& sums, int slice, float* to, int pitch) {
  if (slice == kSlice) {
    sums.template stage<kSlice>(to, pitch);
  } else if constexpr (kSlice + 1 < Sums::kSlices) {
    stage_slice<kSlice + 1>(sums, slice, to, pitch);
  }
}

// Calls store(row, column, staged) for every chunk of V columns of every kTogether-th row of a tile with
// kColumns; the chunk's sums are at `staged`, those of the rows below it kColumns + kStagePad further on each.
// All threads of the block call it; `stage` is shared memory that nobody reads any more.
template <int V, int kTogether, int kColumns, int kThreads, class Sums, class Store>
__device__ __forceinline__ void store_tile(const Sums& sums, float* stage, const Store& store) {
  constexpr int kPitch = kColumns + kStagePad, kPerRow = kColumns / V;
  static_assert(Sums::kSliceRows % kTogether == 0);
#pragma unroll 1
  for (int slice = 0; slice < Sums::kSlices; ++slice) {
    __syncthreads();
    stage_slice(sums, slice, stage, kPitch);
    __syncthreads();
#pragma unroll 1
    for (int i = static_cast<int>(threadIdx.x); i < Sums::kSliceRows / kTogether * kPerRow; i += kThreads) {
      const int row = i / kPerRow * kTogether, column = i % kPerRow * V;
      store(Sums::row(slice, row), column, stage + row * kPitch + column);
    }
  }
}

}  // namespace fc::cuda
