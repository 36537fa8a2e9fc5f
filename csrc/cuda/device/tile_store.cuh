// tile_store.cuh — the sums of a block, on their way from registers to memory.
//
// A block's accumulators are spread over its threads as the products want them, not as memory does. They
// pass through shared memory a slice of rows at a time, and leave as whole chunks of 16 bytes.
//
// Sums is what a kernel gives: kSlices, kSliceRows; stage<slice>(float* stage, int pitch) writes the
// thread's part of a slice; row(slice, i) is the row of the tile that row i of the slice stands for.
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

// Calls store(row, column, chunk of V sums) for every chunk of a tile with kColumns. All threads of the block
// call it; `stage` is shared memory that nobody reads any more.
template <int V, int kColumns, int kThreads, class Sums, class Store>
__device__ __forceinline__ void store_tile(const Sums& sums, float* stage, const Store& store) {
  constexpr int kPitch = kColumns + kStagePad, kPerRow = kColumns / V;
#pragma unroll 1
  for (int slice = 0; slice < Sums::kSlices; ++slice) {
    __syncthreads();
    stage_slice(sums, slice, stage, kPitch);
    __syncthreads();
#pragma unroll 1
    for (int i = static_cast<int>(threadIdx.x); i < Sums::kSliceRows * kPerRow; i += kThreads) {
      const int row = i / kPerRow, column = i % kPerRow * V;
      float v[V];
      load_values(stage + row * kPitch + column, true, v);
      store(Sums::row(slice, row), column, v);
    }
  }
}

}  // namespace fc::cuda
