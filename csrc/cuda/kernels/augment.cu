// augment.cu — images mirrored and moved at random, in one pass.
//
// Math       y[n,p,q] = m[n, p + row, q + column], m = x[n] mirrored or not. With whole offsets a copy;
//            between cells (1-f) ((1-g) m[r,c] + g m[r,c+1]) + f ((1-g) m[r+1,c] + g m[r+1,c+1]), f and g the
//            rests of the offsets. Beyond the image by the fill mode (core/augment_spec.h)
// Shapes     x (N,H,W,C)  flip_seed, shift_seed u64 (1) or null, read on the device  y (N,P,Q,C)
// Grid/Block a block writes kThreads * kElements neighbours of one image; every thread draws for itself,
// which
//            is shorter than a barrier
// Shared memory none
// Registers  no spills
// Numerics   offsets are integers, each product and sum is rounded by itself: the bits of csrc/cpu
// Workspace  none
// Edges      an empty batch launches nothing
// Source     Keras 3, RandomFlip and RandomTranslation; the generator: philox.cuh
#include "core/augment_spec.h"
#include "cuda/device/divider.cuh"
#include "cuda/device/philox.cuh"
#include "cuda/device/storage.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

constexpr int kThreads = 256, kElements = 8;

// An axis of x. Beyond it, a cell's number modulo `period` is inside, or `last` minus it is.
struct Extent {
  int cells, period, last;
  Offsets offsets;

  Extent() = default;
  Extent(int64_t n, FillMode mode, const Offsets& offsets) : cells(static_cast<int>(n)), offsets(offsets) {
    last = mode == FillMode::reflect ? 2 * cells - 1 : 2 * cells - 2;
    period = mode == FillMode::wrap || cells == 1 ? cells : mode == FillMode::reflect ? 2 * cells : last;
  }
};

struct Geometry {
  Extent rows, columns;
  int C;
  int image;   // numbers of an image of y
  int blocks;  // of an image
  Divider by_channels, by_width;
  FlipKind flip;
  bool alternate;
  FillMode fill_mode;
  float fill_value;
};

// Where output cell i of an axis comes from: source(i) of the image, or -1 beyond it; the next cell's share.
struct Axis {
  int offset;
  float share;
  bool mirrored;

  __device__ __forceinline__ int source(int i, const Extent& e, FillMode mode) const {
    i += offset;
    if (mode == FillMode::nearest) i = i < 0 ? 0 : i < e.cells ? i : e.cells - 1;
    if (static_cast<unsigned>(i) >= static_cast<unsigned>(e.cells)) {
      if (mode == FillMode::constant) return -1;
      i %= e.period;
      if (i < 0) i += e.period;
      if (i >= e.cells) i = e.last - i;
    }
    return mirrored ? e.cells - 1 - i : i;
  }
};

template <bool kBilinear>
__device__ __forceinline__ Axis axis_of(const Offsets& offsets, uint32_t word, bool mirrored) {
  constexpr int kUnit = static_cast<int>(AugmentSpec::kUnit);
  const auto drawn = static_cast<int64_t>(static_cast<uint64_t>(offsets.count) * word >> 32);
  const auto offset = static_cast<int>((offsets.first + drawn) * offsets.step);
  if constexpr (!kBilinear) return {(offset + kUnit / 2) >> 16, 0.0f, mirrored};
  return {offset >> 16, static_cast<float>(offset & (kUnit - 1)) * (1.0f / kUnit), mirrored};
}

__device__ __forceinline__ float mean(float a, float b, float share) {
  return __fadd_rn(__fmul_rn(1.0f - share, a), __fmul_rn(share, b));
}

template <class T>
struct Image {
  const T* x;
  int W, C;
  float fill_value;

  __device__ __forceinline__ float at(int row, int column, int c) const {
    if ((row | column) < 0) return fill_value;
    return load(x + (static_cast<int64_t>(row) * W + column) * C + c);
  }
};

template <bool kBilinear, class T>
__global__ void __launch_bounds__(kThreads)
    augment_kernel(const T* x, const uint64_t* flip_seed, const uint64_t* shift_seed, T* y,
                   const __grid_constant__ Geometry g) {
  const int n = static_cast<int>(blockIdx.x / static_cast<unsigned>(g.blocks));
  const int block = static_cast<int>(blockIdx.x % static_cast<unsigned>(g.blocks));
  uint32_t words[4] = {}, flips[4] = {};
  if (shift_seed != nullptr) philox(*shift_seed, static_cast<uint64_t>(n), words);
  bool mirrored = false;
  if (flip_seed != nullptr) {
    philox(*flip_seed, static_cast<uint64_t>(n), flips);
    mirrored = g.alternate ? (*flip_seed & 1) != 0 : flips[0] < 0x80000000u;
  }
  const bool both = g.flip == FlipKind::horizontal_and_vertical;
  const Axis rows =
      axis_of<kBilinear>(g.rows.offsets, words[1], mirrored && (both || g.flip == FlipKind::vertical));
  const Axis columns =
      axis_of<kBilinear>(g.columns.offsets, words[2], mirrored && (both || g.flip == FlipKind::horizontal));
  const Image<T> image{x + int64_t{n} * g.rows.cells * g.columns.cells * g.C, g.columns.cells, g.C,
                       g.fill_value};
  T* results = y + int64_t{n} * g.image;
#pragma unroll 1  // an image's edges are many branches
  for (int k = 0; k < kElements; ++k) {
    const int64_t at = (int64_t{block} * kElements + k) * kThreads + threadIdx.x;
    if (at >= g.image) return;
    int c = static_cast<int>(at);
    int q = g.by_channels.divide(c);
    const int p = g.by_width.divide(q);
    const int top = rows.source(p, g.rows, g.fill_mode), left = columns.source(q, g.columns, g.fill_mode);
    if constexpr (kBilinear) {
      const int bottom = rows.source(p + 1, g.rows, g.fill_mode);
      const int right = columns.source(q + 1, g.columns, g.fill_mode);
      const float above = mean(image.at(top, left, c), image.at(top, right, c), columns.share);
      const float below = mean(image.at(bottom, left, c), image.at(bottom, right, c), columns.share);
      store(results + at, mean(above, below, rows.share));
    } else {
      store(results + at, image.at(top, left, c));
    }
  }
}

template <class T>
void augment(const AugmentSpec& s, const T* x, const uint64_t* flip_seed, const uint64_t* shift_seed, T* y,
             const Context& context) {
  if (s.N == 0) return;
  Geometry g;
  g.rows = Extent(s.H, s.fill_mode, s.rows), g.columns = Extent(s.W, s.fill_mode, s.columns);
  g.C = static_cast<int>(s.C);
  g.image = static_cast<int>(s.P * s.Q * s.C);
  g.blocks = static_cast<int>(ceil_div(g.image, kThreads * kElements));
  g.by_channels = Divider(s.C), g.by_width = Divider(s.Q);
  g.flip = s.flip, g.alternate = s.alternate;
  g.fill_mode = s.fill_mode, g.fill_value = static_cast<float>(s.fill_value);
  launch(s.bilinear ? augment_kernel<true, T> : augment_kernel<false, T>,
         dim3(static_cast<unsigned>(s.N * g.blocks)), dim3(kThreads), 0, context, x, flip_seed, shift_seed, y,
         g);
}

}  // namespace

void add_augment(KernelTable& table) {
  FC_ADD(table, augment);
}

}  // namespace fc::cuda
