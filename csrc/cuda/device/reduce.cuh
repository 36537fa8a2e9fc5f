// reduce.cuh — sums and maxima over the lanes of a warp and the threads of a block.
//
// Order        butterflies: the tree depends on the number of lanes and threads alone, and every one of them
//              gets the same bits, because a + b and b + a are the same
// Maxima       ignore NaN, as fmaxf does; of NaN alone they are NaN
// Convergence  every lane of the warp, or thread of the block, has to take part
#pragma once

#include "cuda/device/runtime.cuh"

namespace fc::cuda {

struct Sum {
  template <class T>
  __device__ __forceinline__ T operator()(T a, T b) const {
    return a + b;
  }
};

struct Largest {
  __device__ __forceinline__ float operator()(float a, float b) const { return fmaxf(a, b); }
  __device__ __forceinline__ double operator()(double a, double b) const { return fmax(a, b); }
};

// Over groups of kLanes neighbours, a power of two.
template <int kLanes, class Op, class T>
__device__ __forceinline__ T reduce_lanes(T v, Op op) {
  static_assert(kLanes >= 1 && kLanes <= 32 && (kLanes & (kLanes - 1)) == 0);
#pragma unroll
  for (int distance = kLanes / 2; distance > 0; distance /= 2) {
    v = op(v, __shfl_xor_sync(0xffffffffu, v, distance));
  }
  return v;
}

// Over all kThreads threads of a block, which lie along x. Two barriers: shared memory may be used again.
template <int kThreads, class Op, class T>
__device__ __forceinline__ T reduce_block(T v, Op op) {
  constexpr int kWarps = kThreads / 32;
  static_assert(kThreads % 32 == 0 && kWarps >= 1 && kWarps <= 32 && (kWarps & (kWarps - 1)) == 0);
  v = reduce_lanes<32>(v, op);
  if constexpr (kWarps > 1) {
    FC_SHARED(T[kWarps], of_warp);
    const unsigned lane = threadIdx.x % 32;
    if (lane == 0) of_warp[threadIdx.x / 32] = v;
    __syncthreads();
    v = reduce_lanes<kWarps>(of_warp[lane % kWarps], op);
    __syncthreads();
  }
  return v;
}

template <int kLanes = 32, class T>
__device__ __forceinline__ T lane_sum(T v) {
  return reduce_lanes<kLanes>(v, Sum());
}
template <int kLanes = 32, class T>
__device__ __forceinline__ T lane_max(T v) {
  return reduce_lanes<kLanes>(v, Largest());
}
template <int kThreads, class T>
__device__ __forceinline__ T block_sum(T v) {
  return reduce_block<kThreads>(v, Sum());
}
template <int kThreads, class T>
__device__ __forceinline__ T block_max(T v) {
  return reduce_block<kThreads>(v, Largest());
}

}  // namespace fc::cuda
