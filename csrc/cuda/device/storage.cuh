// storage.cuh — numbers in memory and in registers: float16 and bfloat16 are only stored, sums are float32.
//
// load() widens, store() rounds to nearest even. A Pack is 16 bytes of neighbours, what one thread moves at
// once.
#pragma once

#include "cuda/device/runtime.cuh"

namespace fc::cuda {

using half = __half;
using bfloat16 = __nv_bfloat16;

__device__ __forceinline__ float widen(float v) {
  return v;
}
__device__ __forceinline__ float widen(half v) {
  return __half2float(v);
}
__device__ __forceinline__ float widen(bfloat16 v) {
  return __bfloat162float(v);
}

template <class T>
struct Narrow;
template <>
struct Narrow<float> {
  static __device__ __forceinline__ float from(float v) { return v; }
};
template <>
struct Narrow<half> {
  static __device__ __forceinline__ half from(float v) { return __float2half_rn(v); }
};
template <>
struct Narrow<bfloat16> {
  static __device__ __forceinline__ bfloat16 from(float v) { return __float2bfloat16_rn(v); }
};

template <class T>
__device__ __forceinline__ float load(const T* p) {
  return widen(*p);
}
template <class T>
__device__ __forceinline__ void store(T* p, float v) {
  *p = Narrow<T>::from(v);
}

template <class T>
struct alignas(16) Pack {
  static constexpr int kSize = 16 / sizeof(T);
  T v[kSize];
};

// Whether every pointer may be read as packs (null may).
template <class... P>
inline bool aligned_for_packs(const P*... p) {
  return ((reinterpret_cast<uintptr_t>(p) % 16 == 0) && ...);
}

}  // namespace fc::cuda
