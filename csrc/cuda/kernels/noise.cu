// noise.cu — normal noise with a counter-based generator.
//
// Math       y[i] = x[i] + stddev z[i], or x[i] (1 + stddev z[i]); its gradient by x is dy, or
//            the same map on dy
// Shapes     any; seed u64 (1), read on the device
// Grid/Block one thread per 16 bytes: one counter gives four words, the noise of four elements
// Numerics   each product and sum is rounded by itself: float32 has the bits of csrc/cpu
// Workspace  none
// Source     core/normal.inc; the generator: philox.cuh
#include "core/elementwise_spec.h"
#include "cuda/device/philox.cuh"
#include "cuda/device/storage.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

constexpr int kThreads = 256, kWords = 4;

__device__ __forceinline__ float product(float a, float b) {
  return __fmul_rn(a, b);
}
__device__ __forceinline__ float sum(float a, float b) {
  return __fadd_rn(a, b);
}
__device__ __forceinline__ float quotient(float a, float b) {
  return __fdiv_rn(a, b);
}
__device__ __forceinline__ float root(float a) {
  return __fsqrt_rn(a);
}
__device__ __forceinline__ float floats_of(int32_t a) {
  return static_cast<float>(a);
}
__device__ __forceinline__ int32_t bits_of(float a) {
  return static_cast<int32_t>(__float_as_uint(a));
}
__device__ __forceinline__ float from_bits(int32_t a) {
  return __uint_as_float(static_cast<uint32_t>(a));
}

#define FC_NORMAL_FN __device__ __forceinline__
#include "core/normal.inc"
#undef FC_NORMAL_FN

template <class T>
__global__ void __launch_bounds__(kThreads) noise_kernel(const T* x, const uint64_t* seed, T* y, int64_t n,
                                                         bool packed, float stddev, bool multiply) {
  constexpr int kSize = Pack<T>::kSize;
  static_assert(kSize % kWords == 0);
  const int64_t first = global_thread() * kSize;
  float v[kSize];
  load_present(x, first, n, packed, v);
  const uint64_t key = *seed;
#pragma unroll
  for (int k = 0; k < kSize; k += kWords) {
    uint32_t words[kWords];
    philox(key, static_cast<uint64_t>((first + k) / kWords), words);
#pragma unroll
    for (int j = 0; j < kWords; j += 2) {
      const Normals<float, int32_t> z(static_cast<int32_t>(words[j]), static_cast<int32_t>(words[j + 1]));
      const float shares[2] = {product(stddev, z.first), product(stddev, z.second)};
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        float& element = v[k + j + i];
        element = multiply ? product(element, sum(1.0f, shares[i])) : sum(element, shares[i]);
      }
    }
  }
  store_present(y, first, n, packed, v);
}

template <class T>
void noise(const NoiseSpec& s, const T* x, const uint64_t* seed, T* y, const Context& context) {
  if (s.n == 0) return;
  const int64_t packs = ceil_div(s.n, Pack<T>::kSize);
  launch(noise_kernel<T>, dim3(static_cast<unsigned>(ceil_div(packs, kThreads))), dim3(kThreads), 0, context,
         x, seed, y, s.n, aligned_for_packs(x, y), static_cast<float>(s.stddev), s.multiply);
}

}  // namespace

void add_noise(KernelTable& table) {
  FC_ADD(table, noise);
}

}  // namespace fc::cuda
