// cuda.h — stands where cuda_runtime.h would when the .cu files are compiled by the host's compiler.
//
// Only what the kernels use, with CUDA's own names. A function that a kernel wants and that is not here is a
// compile error, not a guess. PTX is behind functions of cuda/device, which have bodies of their own here.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <type_traits>

#include "cuda/emulation/block.h"
#include "cuda/emulation/half.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __grid_constant__

using dim3 = fc::cuda::emulation::Dim3;
using cudaStream_t = void*;

#define threadIdx (::fc::cuda::emulation::Block::current().thread())
#define blockIdx (::fc::cuda::emulation::Block::current().index)
#define blockDim (::fc::cuda::emulation::Block::current().dim)
#define gridDim (::fc::cuda::emulation::Block::current().grid)

// Memory that a block's threads share. FC_SHARED(float[32][33], tile) declares `tile`.
#define FC_SHARED(type, name)                                                                            \
  auto& name = *static_cast<std::type_identity_t<type>*>(::fc::cuda::emulation::Block::current().shared( \
      [] {                                                                                               \
        static const char key = 0;                                                                       \
        return static_cast<const void*>(&key);                                                           \
      }(),                                                                                               \
      sizeof(std::type_identity_t<type>), alignof(std::type_identity_t<type>)))

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};

inline void __syncthreads() {
  fc::cuda::emulation::Block::current().sync(0, 0);
}
inline void __syncwarp(uint32_t mask = ~0u) {
  fc::cuda::emulation::Block::current().sync_warp(mask);
}
inline void __threadfence() {}

namespace fc::cuda::emulation {

template <class T>
T shuffle(uint32_t mask, T value, unsigned source) {
  static_assert(sizeof(T) <= 8);
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  const uint64_t* slots = Block::current().exchange(bits, mask);
  T result;
  if (mask >> (source % 32) & 1u) {
    std::memcpy(&result, &slots[source % 32], sizeof(T));
  } else {
    std::memset(static_cast<void*>(&result), 0xff, sizeof(T));  // a lane that takes no part: poison
  }
  return result;
}

inline uint32_t ballot(uint32_t mask, bool vote) {
  const uint64_t* slots = Block::current().exchange(vote, mask);
  uint32_t votes = 0;
  for (unsigned i = 0; i < 32; ++i) {
    if (mask >> i & 1u) votes |= (slots[i] != 0 ? 1u : 0u) << i;
  }
  return votes;
}

}  // namespace fc::cuda::emulation

template <class T>
T __shfl_sync(uint32_t mask, T value, unsigned source) {
  return fc::cuda::emulation::shuffle(mask, value, source);
}
template <class T>
T __shfl_xor_sync(uint32_t mask, T value, unsigned bits) {
  return fc::cuda::emulation::shuffle(mask, value, fc::cuda::emulation::Block::current().lane() ^ bits);
}
template <class T>
T __shfl_down_sync(uint32_t mask, T value, unsigned delta) {
  const unsigned lane = fc::cuda::emulation::Block::current().lane();
  return fc::cuda::emulation::shuffle(mask, value, lane + delta < 32 ? lane + delta : lane);
}
inline uint32_t __ballot_sync(uint32_t mask, bool vote) {
  return fc::cuda::emulation::ballot(mask, vote);
}
inline bool __any_sync(uint32_t mask, bool vote) {
  return __ballot_sync(mask, vote) != 0;
}
inline bool __all_sync(uint32_t mask, bool vote) {
  return __ballot_sync(mask, !vote) == 0;
}

inline int __ffs(int bits) {
  return std::countr_zero(static_cast<uint32_t>(bits)) % 32 + (bits != 0 ? 1 : 0);
}
inline uint32_t __umulhi(uint32_t a, uint32_t b) {
  return static_cast<uint32_t>(uint64_t{a} * b >> 32);
}
// The host's build contracts nothing: every operation is rounded by itself.
inline float __fadd_rn(float a, float b) {
  return a + b;
}
inline float __fsub_rn(float a, float b) {
  return a - b;
}
inline float __fmul_rn(float a, float b) {
  return a * b;
}
inline float __fdiv_rn(float a, float b) {
  return a / b;
}
inline float __fsqrt_rn(float a) {
  return std::sqrt(a);
}
inline uint64_t __umul64hi(uint64_t a, uint64_t b) {
  return static_cast<uint64_t>(static_cast<__uint128_t>(a) * b >> 64);
}
inline float rsqrtf(float x) {
  return 1.0f / std::sqrt(x);
}
inline double rsqrt(double x) {
  return 1.0 / std::sqrt(x);
}
inline float __int_as_float(int32_t bits) {
  return std::bit_cast<float>(bits);
}
inline float __uint_as_float(uint32_t bits) {
  return std::bit_cast<float>(bits);
}
inline uint32_t __float_as_uint(float x) {
  return std::bit_cast<uint32_t>(x);
}
