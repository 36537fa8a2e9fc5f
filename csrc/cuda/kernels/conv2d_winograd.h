// conv2d_winograd.h — float32 convolutions by minimal filtering: where it pays, and its kernels.
#pragma once

#include "cuda/device/conv_product.cuh"
#include "cuda/device/winograd.cuh"
#include "cuda/kernels/conv2d.h"

namespace fc::cuda {

// Tiles of 4 x 4 results of a pass.
inline int64_t winograd_tiles(const Conv2dSpec& s, Pass pass) {
  const bool forward = pass == Pass::forward;
  return s.N * ceil_div(forward ? s.P : s.H, kWinogradTile) * ceil_div(forward ? s.Q : s.W, kWinogradTile);
}

// The model. Both ways multiply at the same rate, so what counts is how many products there are and what the
// transforms move. Per tile direct sums take 2·144·C·K operations, minimal filtering 2·36·C·K and 4·2·36·(C +
// K) bytes: V and M are written and read. The filter takes 4·(9 + 36 + 36)·C·K bytes. A byte costs as much as
// the operations that an H200 does meanwhile: 165 TFLOP/s (TF32's 494, three products for one) over 4.8 TB/s
// = 34; where products run below their peak, or V and M stay in the L2 cache, it costs less. In microseconds,
// 3x3, N,H,W,C=K: direct / minimal filtering
//   32,56,56,64   45 / 60      32,28,28,256   179 / 97      128,14,14,256   179 / 126 (tiles stick out)
//   32,28,28,128  45 / 36      32,28,28,512   717 / 293      128,7,7,512     179 / 108
// Edges of tiles and a filter that is used little tip the balance; 1/8 is left for the launches. In 16 bits
// products are six times as fast, and the transforms (and their errors, in storage of 8 or 11 bits) never
// pay; in strict precision the error is not allowed. Before sm_80 the ratio is about the same: 13 TFLOP/s
// over 0.3 TB/s.
inline bool suits_winograd(const Conv2dSpec& s, Pass pass) {
  constexpr double kOperationsPerByte = 34, kGain = 1.125;
  const bool square = s.R == 3 && s.S == 3 && s.stride_h == 1 && s.stride_w == 1 && s.dilation_h == 1 &&
                      s.dilation_w == 1 && s.groups == 1;
  if (!square || s.numerics.precision == Precision::strict || s.C % 8 != 0 || s.K % 8 != 0 || !fits_int(s) ||
      s.N * s.P * s.Q * s.K >= kMostInt || s.N * s.H * s.W * s.C >= kMostInt) {
    return false;
  }
  const auto pixels = static_cast<double>(pass == Pass::forward ? s.N * s.P * s.Q : s.N * s.H * s.W);
  const auto tiles = static_cast<double>(winograd_tiles(s, pass)), C = static_cast<double>(s.C),
             K = static_cast<double>(s.K);
  const double bytes = 4 * (72 * tiles * (C + K) + 81 * C * K);
  return 18 * pixels * C * K > kGain * (72 * tiles * C * K + kOperationsPerByte * bytes);
}

// What the convolution takes that multiplies, included.
size_t winograd_workspace(const Conv2dSpec& s, Pass pass);
void winograd_forward(const Conv2dSpec& s, const float* x, const float* w, const Epilogue<float>& epilogue,
                      float* y, const Context& context);
// Of windows of 2 x 2 the largest results, and which cell won; index may be null.
void winograd_forward_pooled(const Conv2dSpec& s, const float* x, const float* w,
                             const Epilogue<float>& epilogue, float* y, uint8_t* index,
                             const Context& context);
void winograd_backward_input(const Conv2dSpec& s, const float* dy, const float* w,
                             const Epilogue<float>& epilogue, float* dx, const Context& context);

}  // namespace fc::cuda
