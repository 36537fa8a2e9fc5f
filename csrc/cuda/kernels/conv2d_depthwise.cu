// conv2d_depthwise.cu — depthwise convolutions, forward and, with stride 1, gradients of the input.
//
// Math       conv2d_forward.cu, conv2d_backward_input.cu; the latter as the former of dy
//            with the filter turned round
// Shapes     as there; windows 3x3 and 5x5, strides 1 and 2, no dilation, C a multiple of 4, a filter each
// Limits     bytes: with 9 or 25 products per result nothing else should take long. For 4 channels of
//            float32 an H200 moves 32 bytes (a cell in, a result out): 1.5 cycles of a multiprocessor's
//            share. 3x3 takes 36 fma and 4.5 loads of 16 bytes from the L1 cache: half a cycle each
// Grid       one thread per strip and chunk of channels (depthwise.cuh), channels innermost
// Block      128 threads
// Registers  the filter of 4 channels, a line's cells, and the sums of 4 pixels (5x5: of 2)
// Numerics   float32 fma, ascending in (r,s); then epilogue.cuh
// Edges      lines outside the image are left out, cells count as 0
#include "cuda/device/depthwise.cuh"
#include "cuda/device/pixel_store.cuh"
#include "cuda/kernels/conv2d_depthwise.h"

namespace fc::cuda {
namespace {

constexpr int kThreads = 128, V = kDepthwiseChannels;
constexpr int64_t kBusyThreads = 2 * 132 * kThreads;  // of a large GPU, at least

constexpr int pixels_across(int window) {
  return window == 3 ? 4 : 2;
}

template <class T, int kWindow, int kStride>
__global__ void __launch_bounds__(kThreads, kWindow == 3 ? 4 : 2)
    depthwise_kernel(const __grid_constant__ DepthwiseImages d, bool turned, const T* x, const T* w,
                     const __grid_constant__ Epilogue<T> epilogue, T* y) {
  constexpr int kAcross = pixels_across(kWindow), kTaps = kWindow * kWindow;
  const int thread = static_cast<int>(global_thread());
  if (thread >= d.strips * static_cast<int>(d.chunks.divisor)) return;
  int chunk = thread;
  const Strip at(d, d.chunks.divide(chunk), kAcross);
  const int c = chunk * V;
  float filter[kTaps][V];
#pragma unroll
  for (int tap = 0; tap < kTaps; ++tap) {
    const Chunk<T, V> of_tap = load_chunk<V>(w + (turned ? kTaps - 1 - tap : tap) * d.C + c);
#pragma unroll
    for (int i = 0; i < V; ++i) filter[tap][i] = widen(of_tap.v[i]);
  }
  const StripImage<T, V, kWindow, kStride, kAcross> image(d, at, x, c);
#pragma unroll 1
  for (int line = 0; line < d.lines && at.p + line < d.P; ++line) {
    float sum[kAcross][V] = {};
    image.each(d, line, [&](int r, const auto& cells) {
#pragma unroll
      for (int j = 0; j < cells.kCells; ++j) {
        float cell[V];
#pragma unroll
        for (int i = 0; i < V; ++i) cell[i] = widen(cells.cell[j].v[i]);
#pragma unroll
        for (int a = 0; a < kAcross; ++a) {
          const int s = j - a * kStride;
          if (s < 0 || s >= kWindow) continue;
#pragma unroll
          for (int i = 0; i < V; ++i) sum[a][i] = fmaf(cell[i], filter[r * kWindow + s][i], sum[a][i]);
        }
      }
    });
    const int64_t offset = static_cast<int64_t>((at.n * d.P + at.p + line) * d.Q + at.q) * d.C + c;
    store_pixels(sum, epilogue, at.q, d.Q, c, offset, d.C, y);
  }
}

template <int kWindow, int kStride, class T>
void run(const DepthwiseImages& d, bool turned, const T* x, const T* w, const Epilogue<T>& epilogue, T* y,
         const Context& context) {
  const int64_t threads = int64_t{d.strips} * d.chunks.divisor;
  if (threads == 0) return;
  launch(depthwise_kernel<T, kWindow, kStride>, dim3(static_cast<unsigned>(ceil_div(threads, kThreads))),
         dim3(kThreads), 0, context, d, turned, x, w, epilogue, y);
}

}  // namespace

template <class T>
void depthwise_forward(const Conv2dSpec& s, const T* x, const T* w, const Epilogue<T>& epilogue, T* y,
                       const Context& context) {
  const DepthwiseImages d(s.N, s.H, s.W, s.P, s.Q, s.C, s.pad_top, s.pad_left,
                          pixels_across(static_cast<int>(s.R)), V, kBusyThreads);
  const auto kernel = s.R == 3 ? (s.stride_h == 1 ? run<3, 1, T> : run<3, 2, T>)
                               : (s.stride_h == 1 ? run<5, 1, T> : run<5, 2, T>);
  kernel(d, false, x, w, epilogue, y, context);
}

template <class T>
void depthwise_backward_input(const Conv2dSpec& s, const T* dy, const T* w, const Epilogue<T>& epilogue,
                              T* dx, const Context& context) {
  const DepthwiseImages d(s.N, s.P, s.Q, s.H, s.W, s.C, s.R - 1 - s.pad_top, s.S - 1 - s.pad_left,
                          pixels_across(static_cast<int>(s.R)), V, kBusyThreads);
  const auto kernel = s.R == 3 ? run<3, 1, T> : run<5, 1, T>;
  kernel(d, true, dy, w, epilogue, dx, context);
}

#define FC_INSTANTIATE(T)                                                                               \
  template void depthwise_forward(const Conv2dSpec&, const T*, const T*, const Epilogue<T>&, T*,        \
                                  const Context&);                                                      \
  template void depthwise_backward_input(const Conv2dSpec&, const T*, const T*, const Epilogue<T>&, T*, \
                                         const Context&);
FC_INSTANTIATE(float)
FC_INSTANTIATE(half)
FC_INSTANTIATE(bfloat16)
#undef FC_INSTANTIATE

}  // namespace fc::cuda
