// adjust.cu — contrast and brightness of images, drawn for each.
//
// Math       y = clip((x - mean) f + mean + d); f and d from the words 0 and 1 of counter n
// Shapes     x, y (N,H,W,C)  mean (N,C) or null: 0  seed u64 (1) or null: the first of each range
// Grid/Block a block per image and stretch of it; every thread draws for itself
// Numerics   draws of 24 bits; each product and sum is rounded by itself: the bits of csrc/cpu
// Edges      NaN stays NaN
// Source     Keras 3, RandomContrast and RandomBrightness; the generator: philox.cuh
#include "core/warp_spec.h"
#include "cuda/device/philox.cuh"
#include "cuda/device/storage.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

constexpr int kThreads = 256, kElements = 8;
constexpr int64_t kMostBlocks = 1 << 20;  // blocks walk on from there

struct Range {
  float low, span;

  explicit Range(const std::array<double, 2>& r)
      : low(static_cast<float>(r[0])), span(static_cast<float>(r[1] - r[0])) {}
  __device__ __forceinline__ float at(uint32_t word) const {
    return __fadd_rn(low, __fmul_rn(span, static_cast<float>(word >> 8) / (1 << 24)));
  }
};

template <class T>
__global__ void __launch_bounds__(kThreads)
    adjust_kernel(const T* x, const T* mean, const uint64_t* seed, T* y, Range factor, Range shift, float low,
                  float high, int64_t size, int64_t C, int64_t blocks, int64_t all_blocks) {
  for (int64_t block = blockIdx.x; block < all_blocks; block += gridDim.x) {
    const int64_t n = block / blocks, first = (block - n * blocks) * kThreads * kElements;
    uint32_t words[4] = {};
    if (seed != nullptr) philox(*seed, static_cast<uint64_t>(n), words);
    const float f = factor.at(words[0]), d = shift.at(words[1]);
    for (int k = 0; k < kElements; ++k) {
      const int64_t at = first + k * kThreads + threadIdx.x;
      if (at >= size) break;
      const float m = mean == nullptr ? 0.0f : load(mean + n * C + at % C);
      const float centred = __fmul_rn(__fsub_rn(load(x + n * size + at), m), f);
      const float v = __fadd_rn(__fadd_rn(centred, m), d);
      store(y + n * size + at, v < low ? low : v > high ? high : v);
    }
  }
}

template <class T>
void adjust(const AdjustSpec& s, const T* x, const T* mean, const uint64_t* seed, T* y,
            const Context& context) {
  if (s.N == 0) return;
  const int64_t size = s.H * s.W * s.C, blocks = ceil_div(size, kThreads * kElements);
  launch(adjust_kernel<T>, dim3(static_cast<unsigned>(std::min(s.N * blocks, kMostBlocks))), dim3(kThreads),
         0, context, x, mean, seed, y, Range(s.factor), Range(s.shift), static_cast<float>(s.limits[0]),
         static_cast<float>(s.limits[1]), size, s.C, blocks, s.N * blocks);
}

}  // namespace

void add_adjust(KernelTable& table) {
  FC_ADD(table, adjust);
}

}  // namespace fc::cuda
