// conv2d_choice.h — which kernel computes a convolution: by its shape and precision alone.
#pragma once

#include "cuda/device/conv_product.cuh"
#include "cuda/device/igemm_launch.cuh"

namespace fc::cuda {

// One thread per result: few products per result leave a tile mostly empty, and depthwise layers have no
// matrix product in them at all. Also whatever is too large for the tiles' indices.
inline bool suits_direct(const Conv2dSpec& s) {
  constexpr int64_t kFewChannels = 8;
  const bool narrow = s.groups > 1 && s.group_channels() < kFewChannels && s.group_filters() < kFewChannels;
  return narrow || !fits_int(s);
}

// Large tiles read each operand half as often; small ones keep more multiprocessors busy.
inline bool suits_large_tiles(int64_t rows, int64_t columns, int64_t groups) {
  constexpr int64_t kTile = 128;
  return columns > kTile / 2 && ceil_div(rows, kTile) * ceil_div(columns, kTile) * groups >= kBusyBlocks / 2;
}

template <Pass kPass, class T>
void run_product(const Igemm<T>& p, const DepthSplit<T>& split, const Context& context) {
  const bool weight = kPass == Pass::backward_weight;
  const int64_t rows = weight ? p.phase[0].taps_by_channels : p.phase[0].pixels;
  if (suits_large_tiles(rows, p.columns,
                        static_cast<int64_t>(p.groups) * (weight ? split.sums.parts : p.phases))) {
    launch_chunks<kPass, SimtEngine<T, LargeSimt>>(p, split, context);
  } else {
    launch_chunks<kPass, SimtEngine<T, SmallSimt>>(p, split, context);
  }
}

}  // namespace fc::cuda
