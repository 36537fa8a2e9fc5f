// rounded.cuh — a float32 whose every operation is rounded by itself.
//
// nvcc contracts a * b + c into one fma; the kernels of the CPU, compiled without that, round twice. Where
// both back ends have to walk the same path for thousands of steps, as optimizers do, the formula is written
// with Rounded, which the compiler leaves as it is written. Division and root are IEEE's.
#pragma once

#include "cuda/device/runtime.cuh"

namespace fc::cuda {

struct Rounded {
  float value;

  Rounded() = default;
  __device__ __forceinline__ Rounded(float value) : value(value) {}

  friend __device__ __forceinline__ Rounded operator+(Rounded a, Rounded b) {
    return __fadd_rn(a.value, b.value);
  }
  friend __device__ __forceinline__ Rounded operator-(Rounded a, Rounded b) {
    return __fsub_rn(a.value, b.value);
  }
  friend __device__ __forceinline__ Rounded operator*(Rounded a, Rounded b) {
    return __fmul_rn(a.value, b.value);
  }
  friend __device__ __forceinline__ Rounded operator/(Rounded a, Rounded b) {
    return __fdiv_rn(a.value, b.value);
  }
  friend __device__ __forceinline__ Rounded square_root(Rounded a) { return __fsqrt_rn(a.value); }
};

}  // namespace fc::cuda
