// conv2d_first.h — convolutions of images with few channels: which they are, and their kernels.
#pragma once

#include "cuda/device/patch.cuh"
#include "cuda/kernels/conv2d.h"

namespace fc::cuda {

inline constexpr int64_t kFirstMostCells = 3200,
                         kFirstMostDepth = 256;  // what fits shared memory, and a block's warps

// Few channels make poor rows of a matrix product: its gather fetches them one by one. Filters are stored by
// chunks. Where images are so small that tiles would be mostly idle, the product is the better way.
inline bool suits_first(const Conv2dSpec& s) {
  constexpr int64_t kMostChannels = 4, kMostWaste = 3, kMostStep = 64;
  if (s.groups != 1 || s.C > kMostChannels || s.K % 8 != 0 || s.R * s.S * s.C > kFirstMostDepth ||
      !fits_int(s) || (s.W + s.pad_left + s.pad_right + kMostStep * s.stride_w) * s.C >= kMostInt) {
    return false;
  }
  const PatchTiles tiles(s, kFirstMostCells);
  return tiles.tiles > 0 && int64_t{tiles.tiles} * kTilePixels <= kMostWaste * s.N * s.P * s.Q;
}

// Chunks of 16 bytes of filters have to be aligned in y and dy, and in what the epilogue adds.
template <class T>
void first_forward(const Conv2dSpec& s, bool tensor_cores, const T* x, const T* w,
                   const Epilogue<T>& epilogue, T* y, const Context& context);
// Of windows of 2 x 2 the largest results, and which cell won; index may be null.
template <class T>
void first_forward_pooled(const Conv2dSpec& s, bool tensor_cores, const T* x, const T* w,
                          const Epilogue<T>& epilogue, T* y, uint8_t* index, const Context& context);
template <class T>
void first_backward_weight(const Conv2dSpec& s, bool tensor_cores, const T* x, const T* dy, float* dw,
                           float* dbias, const Context& context);
size_t first_backward_weight_workspace(const Conv2dSpec& s);

}  // namespace fc::cuda
