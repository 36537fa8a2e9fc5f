// conv2d_depthwise_backward_weight.cu — gradients of the filters of depthwise convolutions.
//
// Math       conv2d_backward_weight.cu
// Shapes     as there; 3x3, strides 1 and 2, no dilation, C a multiple of 4, a filter per channel
// Grid       x: tiles of 8 chunks of 4 channels   y: parts of the strips (depthwise.cuh)
// Block      256 threads: block_rows.cuh; a thread has every 32nd strip of its part
// Registers  36 sums, four dy, a line's cells: dy is loaded once for all taps, a cell for the taps of a line
// Numerics   float32 fma over the strips of a thread, a tree over the block, then partial_sums.cuh
// Workspace  depthwise_backward_weight_workspace(spec) bytes: a dw per part
// Edges      pixels beyond the line are left out, cells outside the image count as 0
#include "cuda/device/block_rows.cuh"
#include "cuda/device/depthwise.cuh"
#include "cuda/device/partial_sums.cuh"
#include "cuda/kernels/conv2d_depthwise.h"

namespace fc::cuda {
namespace {

constexpr int V = kDepthwiseChannels, kWindow = 3, kTaps = 9, kAcross = 4;

DepthwiseImages images(const Conv2dSpec& s) {
  constexpr int64_t kThreads = 132 * kBlockRowThreads;  // of a large GPU, at least
  return {s.N, s.H, s.W, s.P, s.Q, s.C, s.pad_top, s.pad_left, kAcross, V, kThreads};
}

int64_t channel_tiles(const Conv2dSpec& s) {
  return ceil_div(s.C, V * kBlockChunks);
}

int64_t parts_of(const Conv2dSpec& s) {
  return parts_for(channel_tiles(s), images(s).strips, kBlockRows);
}

template <class T, int kStride>
__global__ void __launch_bounds__(kBlockRowThreads, 2)
    depthwise_weight_kernel(const __grid_constant__ DepthwiseImages d, const T* x, const T* dy,
                            int part_strips, PartialSums dw) {
  const BlockRow thread;
  const int c = (static_cast<int>(blockIdx.x) * kBlockChunks + thread.chunk) * V;
  const int begin = static_cast<int>(blockIdx.y) * part_strips;
  const int end = begin + part_strips < d.strips ? begin + part_strips : d.strips;
  float sum[kTaps][V] = {};
#pragma unroll 1
  for (int strip = begin + thread.row; strip < end && c < d.C; strip += kBlockRows) {
    const Strip at(d, strip, kAcross);
    const StripImage<T, V, kWindow, kStride, kAcross> image(d, at, x, c);
    const T* gradients = dy + ((at.n * d.P + at.p) * d.Q + at.q) * d.C + c;
#pragma unroll 1
    for (int line = 0; line < d.lines && at.p + line < d.P; ++line, gradients += d.Q * d.C) {
      float g[kAcross][V];
#pragma unroll
      for (int a = 0; a < kAcross; ++a) {
        const Chunk<T, V> chunk = at.q + a < d.Q ? load_chunk<V>(gradients + a * d.C) : zero_chunk<T, V>();
#pragma unroll
        for (int i = 0; i < V; ++i) g[a][i] = widen(chunk.v[i]);
      }
      image.each(d, line, [&](int r, const auto& cells) {
#pragma unroll
        for (int a = 0; a < kAcross; ++a) {
          if (at.q + a >= d.Q) continue;  // its cells may be infinite
#pragma unroll
          for (int s = 0; s < kWindow; ++s) {
#pragma unroll
            for (int i = 0; i < V; ++i) {
              float& to = sum[r * kWindow + s][i];
              to = fmaf(widen(cells.cell[a * kStride + s].v[i]), g[a][i], to);
            }
          }
        }
      });
    }
  }
#pragma unroll
  for (int tap = 0; tap < kTaps; ++tap) {
    add_block_rows(sum[tap]);
    if (thread.row == 0 && c < d.C) dw.put(static_cast<int>(blockIdx.y), tap * d.C + c, sum[tap]);
    __syncthreads();  // before the next sums take the place of these
  }
}

}  // namespace

size_t depthwise_backward_weight_workspace(const Conv2dSpec& s) {
  const int64_t parts = parts_of(s);
  return parts > 1 ? sizeof(float) * parts * kTaps * s.C : 0;
}

template <class T>
void depthwise_backward_weight(const Conv2dSpec& s, const T* x, const T* dy, float* dw,
                               const Context& context) {
  const DepthwiseImages d = images(s);
  const PartialSums sums(context.workspace, parts_of(s), kTaps * s.C, dw);
  launch(s.stride_h == 1 ? depthwise_weight_kernel<T, 1> : depthwise_weight_kernel<T, 2>,
         dim3(static_cast<unsigned>(channel_tiles(s)), static_cast<unsigned>(sums.parts)),
         dim3(kBlockRowThreads), 0, context, d, x, dy, static_cast<int>(ceil_div(d.strips, sums.parts)),
         sums);
  sums.add(context);
}

#define FC_INSTANTIATE(T) \
  template void depthwise_backward_weight(const Conv2dSpec&, const T*, const T*, float*, const Context&);
FC_INSTANTIATE(float)
FC_INSTANTIATE(half)
FC_INSTANTIATE(bfloat16)
#undef FC_INSTANTIATE

}  // namespace fc::cuda
