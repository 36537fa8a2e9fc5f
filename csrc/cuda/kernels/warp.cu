// warp.cu — images turned, zoomed and sheared at random.
//
// Math       y[n,p,q] = x[n] at M_n (p, q): the nearest cell, or (1-f) ((1-g) x[r,c] + g x[r,c+1])
//            + f ((1-g) x[r+1,c] + g x[r+1,c+1]), f and g the rests of the place. Beyond the image by the
//            fill mode
// Shapes     x, y (N,H,W,C)  seed u64 (1), read on the device, or null: the first of each range
// Grid/Block a block writes kThreads * kElements neighbours of one image; every thread draws for itself,
// which
//            is shorter than a barrier
// Shared memory none
// Registers  no spills
// Numerics   places are integers, each product and sum is rounded by itself: the bits of csrc/cpu
// Workspace  none
// Edges      an empty batch launches nothing
// Source     core/warp_geometry.inc; the generator: philox.cuh
#include "core/warp_spec.h"
#include "cuda/device/divider.cuh"
#include "cuda/device/philox.cuh"
#include "cuda/device/storage.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

#include "core/fill_mode.inc"
#include "core/warp_geometry.inc"

constexpr int kThreads = 256, kElements = 16;

template <class T>
struct Image {
  const T* x;
  const WarpRule& s;

  __device__ __forceinline__ float at(int64_t row, int64_t column, int c) const {
    if ((row | column) < 0) return static_cast<float>(s.fill_value);
    return load(x + (row * s.W + column) * s.C + c);
  }
  __device__ __forceinline__ int64_t row_at(int64_t i) const { return cell_seen_at(i, s.H, s.fill_mode); }
  __device__ __forceinline__ int64_t column_at(int64_t i) const { return cell_seen_at(i, s.W, s.fill_mode); }

  __device__ __forceinline__ float blend(Place place, int c) const {
    const int64_t row = in_parts(place.row), column = in_parts(place.column);
    const float f = static_cast<float>(row & 65535) / 65536, g = static_cast<float>(column & 65535) / 65536;
    const int64_t top = row_at(row >> 16), bottom = row_at((row >> 16) + 1);
    const int64_t left = column_at(column >> 16), right = column_at((column >> 16) + 1);
    const float above = mean(at(top, left, c), at(top, right, c), g);
    const float below = mean(at(bottom, left, c), at(bottom, right, c), g);
    return mean(above, below, f);
  }

  static __device__ __forceinline__ float mean(float a, float b, float share) {
    return __fadd_rn(__fmul_rn(1.0f - share, a), __fmul_rn(share, b));
  }
};

template <class T>
__global__ void __launch_bounds__(kThreads)
    warp_kernel(const T* x, const uint64_t* seed, T* y, const __grid_constant__ WarpRule s,
                Divider by_channels, Divider by_width, int size, int blocks) {
  const auto n = static_cast<int64_t>(blockIdx.x / static_cast<unsigned>(blocks));
  const auto block = static_cast<int64_t>(blockIdx.x % static_cast<unsigned>(blocks));
  uint32_t words[8] = {};
  if (seed != nullptr) {
    uint32_t half[4];
    for (int i = 0; i < 2; ++i) {
      philox(*seed, static_cast<uint64_t>(2 * n + i), half);
      for (int j = 0; j < 4; ++j) words[4 * i + j] = half[j];
    }
  }
  const WarpMatrix matrix(s, words);
  const Image<T> image{x + n * size, s};
#pragma unroll 1  // an image's edges are many branches
  for (int k = 0; k < kElements; ++k) {
    const int64_t at = (block * kElements + k) * kThreads + threadIdx.x;
    if (at >= size) return;
    int c = static_cast<int>(at);
    int q = by_channels.divide(c);
    const int p = by_width.divide(q);
    const Place place = matrix.source(p, q);
    const float value = s.bilinear ? image.blend(place, c)
                                   : image.at(image.row_at(nearest_cell(place.row)),
                                              image.column_at(nearest_cell(place.column)), c);
    store(y + n * size + at, value);
  }
}

template <class T>
void warp(const WarpSpec& s, const T* x, const uint64_t* seed, T* y, const Context& context) {
  if (s.N == 0) return;
  const int64_t size = s.H * s.W * s.C, blocks = ceil_div(size, kThreads * kElements);
  launch(warp_kernel<T>, dim3(static_cast<unsigned>(s.N * blocks)), dim3(kThreads), 0, context, x, seed, y,
         static_cast<const WarpRule&>(s), Divider(s.C), Divider(s.W), static_cast<int>(size),
         static_cast<int>(blocks));
}

}  // namespace

void add_warp(KernelTable& table) {
  FC_ADD(table, warp);
}

}  // namespace fc::cuda
