// pool2d_image.cuh — one window over the whole image: the threads of a block share its cells.
//
// Grid      blocks over (n, tile of packs)
// Block     x: packs of a tile, y: cells, a power of two; together at most 256 threads
// Shared    what the threads of a block found so far, merged in a tree
#pragma once

#include "cuda/device/columns.cuh"
#include "cuda/device/pool2d_kinds.cuh"

namespace fc::cuda {

template <class T, int kWide, class Kind>
__global__ void __launch_bounds__(kColumnThreads)
    image_kernel(int64_t cells, int64_t channels, unsigned tiles, const T* x, Kind kind) {
  using State = typename Kind::State;
  constexpr int kSlots = kColumnThreads / 2;
  const int64_t n = blockIdx.x / tiles;
  const int64_t channel = (static_cast<int64_t>(blockIdx.x % tiles) * blockDim.x + threadIdx.x) * kWide;
  const bool active = channel < channels;
  State own = kind.state(0);
  if (active) {
    const T* image = x + n * cells * channels + channel;
#pragma unroll 4
    for (int64_t i = threadIdx.y; i < cells; i += blockDim.y) {
      kind.add(own, load_items<kWide>(image + i * channels), true, static_cast<unsigned>(i));
    }
  }
  FC_SHARED(State[kSlots], given);
  for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
    State& slot = given[(threadIdx.y & (half - 1)) * blockDim.x + threadIdx.x];
    if (threadIdx.y >= half && threadIdx.y < 2 * half) slot = own;
    __syncthreads();
    if (threadIdx.y < half) kind.merge(own, slot);
    __syncthreads();
  }
  if (active && threadIdx.y == 0) kind.finish(own, n * channels + channel, static_cast<int>(cells));
}

inline bool covers_image(const Pool2dSpec& s) {
  return s.P == 1 && s.Q == 1 && s.R == s.H && s.S == s.W && s.dilation_h == 1 && s.dilation_w == 1 &&
         s.pad_top == 0 && s.pad_left == 0 && s.pad_bottom == 0 && s.pad_right == 0;
}

// `kind` is that of the first image.
template <int kWide, class T, class Kind>
void over_image(const Context& context, const Pool2dSpec& s, const T* x, const Kind& kind) {
  if (s.N == 0) return;
  const int64_t packs = s.C / kWide, tiles = ceil_div(packs, kWarp), in_tile = ceil_div(packs, tiles);
  const dim3 block(static_cast<unsigned>(in_tile),
                   std::bit_floor(kColumnThreads / static_cast<unsigned>(in_tile)));
  launch(image_kernel<T, kWide, Kind>, dim3(static_cast<unsigned>(s.N * tiles)), block, 0, context, s.H * s.W,
         s.C, static_cast<unsigned>(tiles), x, kind);
}

}  // namespace fc::cuda
