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

// float32 on the tensor cores is as exact as sums of a few products in float32, but not more: 3xTF32 leaves
// out up to 12 units of rounding of each product.
inline bool suits_tensor_cores(DType type, Precision precision, int64_t depth) {
  constexpr int64_t kHidden = 32;  // a sum of so many terms has rounding of its own to hide it
  return type != DType::f32 || (precision == Precision::fast && depth >= kHidden);
}

template <class T>
using LargeTensor = TensorShape<128, 128, 64 / sizeof(T), 2, 4, 4>;
template <class T>
using SmallTensor = TensorShape<64, 64, 64 / sizeof(T), 2, 2, 4>;

template <Pass kPass, class T>
void run_product(const Conv2dSpec& s, const Igemm<T>& p, const DepthSplit<T>& split, const Context& context) {
  constexpr bool kWeight = kPass == Pass::backward_weight;
  const int64_t rows = kWeight ? p.phase[0].taps_by_channels : p.phase[0].pixels;
  const int64_t depth = kWeight ? p.phase[0].pixels : p.phase[0].taps_by_channels;
  const bool large =
      suits_large_tiles(rows, p.columns, int64_t{p.groups} * (kWeight ? split.sums.parts : p.phases));
  if constexpr (std::is_same_v<T, float>) {
    if (!suits_tensor_cores(s.dtype, s.numerics.precision, depth)) {
      if (large) return launch_chunks<kPass, SimtEngine<T, LargeSimt>>(p, split, context);
      return launch_chunks<kPass, SimtEngine<T, SmallSimt>>(p, split, context);
    }
  }
  if (large) return launch_chunks<kPass, TensorEngine<T, LargeTensor<T>>>(p, split, context);
  launch_chunks<kPass, TensorEngine<T, SmallTensor<T>>>(p, split, context);
}

}  // namespace fc::cuda
