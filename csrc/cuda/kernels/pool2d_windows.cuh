// pool2d_windows.cuh — one thread per window and pack of channels: what forward kernels, and gradients that
// look for the winners again, have in common.
//
// Registers the cells of a 2x2 or 3x3 window are all loaded before the first is used
#pragma once

#include "cuda/device/pool2d_kinds.cuh"
#include "cuda/device/pool2d_window.cuh"
#include "cuda/kernels/pool2d_image.cuh"

namespace fc::cuda {

// kTaps: the known extent of a square window without gaps; 0: any window.
template <int kTaps, class T, int kWide, class Kind>
__global__ void __launch_bounds__(kPoolThreads, 4)
    windows_kernel(PoolShape g, const T* x, Kind kind, unsigned threads) {
  const unsigned thread = blockIdx.x * kPoolThreads + threadIdx.x;
  if (thread >= threads) return;
  const PoolPlace<kWide> place(g, thread);
  const int p = place.row, q = place.column, h = g.h.start(p), w = g.w.start(q);
  const T* image = x + static_cast<int64_t>(place.n) * g.h.extent * g.w.extent * g.channels + place.channel;
  typename Kind::State state;
  if constexpr (kTaps > 0) {
    state = kind.state(static_cast<unsigned>((h < 0 ? -h : 0) * kTaps + (w < 0 ? -w : 0)));
    Items<T, kWide> cells[kTaps][kTaps];
#pragma unroll
    for (int r = 0; r < kTaps; ++r) {
      const T* row = image + static_cast<int64_t>(g.h.nearest(h + r)) * g.w.extent * g.channels;
#pragma unroll
      for (int s = 0; s < kTaps; ++s) {
        cells[r][s] = load_items<kWide>(row + g.w.nearest(w + s) * g.channels);
      }
    }
#pragma unroll
    for (int r = 0; r < kTaps; ++r) {
#pragma unroll
      for (int s = 0; s < kTaps; ++s) {
        kind.add(state, cells[r][s], g.h.holds(h + r) && g.w.holds(w + s), r * kTaps + s);
      }
    }
  } else {
    const TapRange rows = g.h.taps_inside(h, g.h.extent), columns = g.w.taps_inside(w, g.w.extent);
    state = kind.state(static_cast<unsigned>(rows.first * g.w.taps + columns.first));
    const int64_t step = g.w.dilation * g.channels;
    for (int r = rows.first; r < rows.end; ++r) {
      const int64_t row = static_cast<int64_t>(h + r * g.h.dilation) * g.w.extent;
      const T* cell = image + (row + w + columns.first * g.w.dilation) * g.channels;
#pragma unroll 4
      for (int s = columns.first; s < columns.end; ++s, cell += step) {
        kind.add(state, load_items<kWide>(cell), true, static_cast<unsigned>(r * g.w.taps + s));
      }
    }
  }
  const int64_t window = (static_cast<int64_t>(place.n) * g.h.windows + p) * g.w.windows + q;
  kind.finish(state, window * g.channels + place.channel, g.divisor(p, q));
}

// kind(first image of a launch) is the Kind of it, with pointers to that image.
template <int kWide, class T, class MakeKind>
void for_windows(const Context& context, const Pool2dSpec& s, const T* x, const MakeKind& kind) {
  using Kind = decltype(kind(int64_t{}));
  if (covers_image(s)) return over_image<kWide>(context, s, x, kind(0));
  const int64_t packs = s.C / kWide;
  const PoolShape shape(s, s.P, s.Q, packs);
  const bool dense = s.R == s.S && s.dilation_h == 1 && s.dilation_w == 1;
  const auto kernel = dense && s.R == 2   ? windows_kernel<2, T, kWide, Kind>
                      : dense && s.R == 3 ? windows_kernel<3, T, kWide, Kind>
                                          : windows_kernel<0, T, kWide, Kind>;
  for_image_groups(s.N, s.P * s.Q * packs, [&](int64_t n, unsigned threads) {
    launch(kernel, dim3(static_cast<unsigned>(ceil_div(threads, kPoolThreads))), dim3(kPoolThreads), 0,
           context, shape, x + n * s.H * s.W * s.C, kind(n), threads);
  });
}

// The extreme of a kind, and its winners; y or index may be null.
template <int kWide, class Index, class T>
void find_extremes(const Context& context, const Pool2dSpec& s, const T* x, T* y, Index* index) {
  const int64_t image = s.P * s.Q * s.C;
  const float sign = s.kind == PoolKind::max ? 1.0f : -1.0f;
  for_windows<kWide>(context, s, x, [=](int64_t n) {
    return Extreme<T, kWide, Index>{y == nullptr ? nullptr : y + n * image,
                                    index == nullptr ? nullptr : index + n * image, sign};
  });
}

}  // namespace fc::cuda
