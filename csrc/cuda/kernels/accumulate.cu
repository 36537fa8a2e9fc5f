// accumulate.cu — gradients of several steps, and of several tensors: their mean, and their common norm.
//
// Math       gradient_accumulate  hyper = {k, gathers}: where it gathers, sum = sum + g;
//                                 else g = (g + sum)/k, sum = 0
//            gradient_shrink      g = g·limit/√total where √total > limit
// Shapes     gradient, sum (n), total (1) float32   hyper (8), limit (1) float64, read on the device
// Grid/Block 16 bytes of every array per thread
// Numerics   as csrc/cpu/kernels/accumulate.cpp; the factor of gradient_shrink in float64, rounded once
// Workspace  none
// Edges      a refused step writes nothing; a NaN total makes every gradient NaN, an infinite one zero (inf·0
//            is NaN)
// Source     Keras 3, keras/src/optimizers/base_optimizer.py (apply, clip_by_global_norm)
#include "core/elementwise_spec.h"
#include "cuda/device/rounded.cuh"
#include "cuda/device/storage.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kSize = Pack<float>::kSize;

dim3 blocks_for(int64_t n) {
  return dim3(static_cast<unsigned>(ceil_div(ceil_div(n, kSize), kThreads)));
}

__global__ void __launch_bounds__(kThreads)
    accumulate_kernel(const double* hyper, float* gradient, float* sum, int64_t n, bool packed,
                      const int32_t* proceed) {
  if (proceed != nullptr && *proceed == 0) return;
  const bool gathers = hyper[1] != 0;
  const Rounded steps = static_cast<float>(hyper[0]);
  const int64_t first = global_thread() * kSize;
  float g[kSize], total[kSize];
  load_present(gradient, first, n, packed, g);
  load_present(sum, first, n, packed, total);
#pragma unroll
  for (int j = 0; j < kSize; ++j) {
    const Rounded added = Rounded(g[j]) + Rounded(total[j]);
    g[j] = (added / steps).value;
    total[j] = gathers ? added.value : 0.0f;
  }
  store_present(sum, first, n, packed, total);
  if (!gathers) store_present(gradient, first, n, packed, g);
}

__global__ void __launch_bounds__(kThreads)
    shrink_kernel(const double* limit, const float* total, float* gradient, int64_t n, bool packed,
                  const int32_t* proceed) {
  FC_SHARED(float, shared);
  const int64_t first = global_thread() * kSize;
  float g[kSize];
  load_present(gradient, first, n, packed, g);
  if (threadIdx.x == 0) {  // one root and one division in float64 for a block
    const double norm = sqrt(static_cast<double>(*total));
    shared = norm <= *limit ? 1.0f : static_cast<float>(*limit / norm);
  }
  __syncthreads();
  if (shared == 1.0f || (proceed != nullptr && *proceed == 0)) return;
#pragma unroll
  for (int j = 0; j < kSize; ++j) g[j] *= shared;
  store_present(gradient, first, n, packed, g);
}

void gradient_accumulate(const VectorSpec& s, const double* hyper, float* gradient, float* sum,
                         const Context& context) {
  if (s.n == 0) return;
  launch(accumulate_kernel, blocks_for(s.n), dim3(kThreads), 0, context, hyper, gradient, sum, s.n,
         aligned_for_packs(gradient, sum), context.proceed);
}

void gradient_shrink(const VectorSpec& s, const double* limit, const float* total, float* gradient,
                     const Context& context) {
  if (s.n == 0) return;
  launch(shrink_kernel, blocks_for(s.n), dim3(kThreads), 0, context, limit, total, gradient, s.n,
         aligned_for_packs(gradient), context.proceed);
}

}  // namespace

void add_accumulate(KernelTable& table) {
  table.at("gradient_accumulate", DType::f32) = kernel<&gradient_accumulate>();
  table.at("gradient_shrink", DType::f32) = kernel<&gradient_shrink>();
}

}  // namespace fc::cuda
