// moments.cuh — mean and sum of squared deviations of many numbers, without cancellation.
//
// Math      of n and m numbers with means a, b and squares A, B: with d = b - a the n + m together have
//           mean a + d m/(n+m) and squares A + B + d^2 n m/(n+m)
// Numerics  an Offset keeps the mean as origin + offset, the origin one of the first numbers' mean: a mean
// far
//           from zero costs no bits, and everything stays in float32. Moments, of few, are float64
// Source    Chan, Golub, LeVeque, Algorithms for Computing the Sample Variance, 1983, eq. 2.1
#pragma once

#include "cuda/device/runtime.cuh"

namespace fc::cuda {

struct OffsetMoments {
  float origin, offset, squares;

  // This, of n numbers, becomes what n + more have; share = more / (n + more).
  __device__ __forceinline__ void merge(float n, const OffsetMoments& other, float share) {
    const float delta = (other.origin - origin) + (other.offset - offset);
    offset = fmaf(delta, share, offset);
    squares += fmaf(delta * delta, n * share, other.squares);
  }
};

struct Moments {
  double count = 0, mean = 0, squares = 0;

  __device__ __forceinline__ void merge(const Moments& other) {
    if (other.count == 0) return;
    const double share = other.count / (count + other.count), delta = other.mean - mean;
    squares += other.squares + delta * delta * count * share;
    mean += delta * share;
    count += other.count;
  }
};

// Lane 0 gets the moments of the whole warp; all lanes take part.
__device__ __forceinline__ Moments merge_lanes(Moments m) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    Moments other;
    other.count = __shfl_down_sync(0xffffffffu, m.count, distance);
    other.mean = __shfl_down_sync(0xffffffffu, m.mean, distance);
    other.squares = __shfl_down_sync(0xffffffffu, m.squares, distance);
    m.merge(other);
  }
  return m;
}

// Thread 0 gets the moments of all kThreads threads of the block, which lie along x and all take part.
template <int kThreads>
__device__ __forceinline__ Moments merge_block(Moments m) {
  constexpr int kWarps = kThreads / 32;
  FC_SHARED(double[kWarps][3], of_warp);
  m = merge_lanes(m);
  double (&own)[3] = of_warp[threadIdx.x / 32];
  if (threadIdx.x % 32 == 0) own[0] = m.count, own[1] = m.mean, own[2] = m.squares;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int warp = 1; warp < kWarps; ++warp) {
      m.merge({of_warp[warp][0], of_warp[warp][1], of_warp[warp][2]});
    }
  }
  return m;
}

}  // namespace fc::cuda
