// block_rows.cuh — a block of 8 chunks of columns x 32 rows of threads, and the sum over its rows.
#pragma once

#include "cuda/device/chunk.cuh"

namespace fc::cuda {

inline constexpr int kBlockChunks = 8, kBlockRows = 32, kBlockRowThreads = kBlockChunks * kBlockRows;

// Where a thread is in its block.
struct BlockRow {
  int chunk = static_cast<int>(threadIdx.x) % kBlockChunks,
      row = static_cast<int>(threadIdx.x) / kBlockChunks;
};

// sum[] of the block's first row of threads becomes that of its column, added in a tree.
template <int V>
__device__ __forceinline__ void add_block_rows(float (&sum)[V]) {
  FC_SHARED(float[kBlockRows][kBlockChunks * V + 1], sums);
  const BlockRow at;
  float* const mine = &sums[at.row][at.chunk * V];
#pragma unroll
  for (int i = 0; i < V; ++i) mine[i] = sum[i];
  for (int half = kBlockRows / 2; half > 0; half /= 2) {
    __syncthreads();
    if (at.row < half) {
#pragma unroll
      for (int i = 0; i < V; ++i) mine[i] += sums[at.row + half][at.chunk * V + i];
    }
  }
#pragma unroll
  for (int i = 0; i < V; ++i) sum[i] = mine[i];
}

}  // namespace fc::cuda
