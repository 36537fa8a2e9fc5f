// pool2d_backward.cu — the gradients of pooling.
//
// Math       dx[n,h,w,c] = Σ over the windows (p,q) with a tap (r,s) on the cell of
//            max, min: index[n,p,q,c] = r·S + s ? dy[n,p,q,c] : 0      sum: dy      avg: dy / divisor(p,q)
// Shapes     dy (N,P,Q,C)  index (N,P,Q,C) of bytes, null for avg and sum  x, dx (N,H,W,C), C-contiguous
// Grid/Block a thread per cell of dx and 16 bytes of channels gathers from the windows over it; windows of
// 2x2
//            side by side have a thread each
// Numerics   a cell sums its windows in ascending order in float32
// Workspace  pool2d_backward: the winners' numbers in four bytes each, found again from x
// Edges      cells that no window covers are 0; winners as in pool2d_forward.cu
#include "cuda/kernels/pool2d_windows.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

// What a window gives to the cell under a tap: Share load(where, divisor), then share.of(channel, tap).
template <class T, int kWide, class Index>
struct ToWinner {
  struct Share {
    Items<T, kWide> g;
    Index winner[kWide];
    __device__ __forceinline__ float of(int j, unsigned tap) const {
      return winner[j] == tap ? widen(g.v[j]) : 0.0f;
    }
  };
  const T* dy;
  const Index* index;

  __device__ __forceinline__ Share load(int64_t at, int) const {
    constexpr int kLoad = kWide * sizeof(Index) > 16 ? 16 / sizeof(Index) : kWide;
    Share share;
    share.g = load_items<kWide>(dy + at);
#pragma unroll
    for (int j = 0; j < kWide; j += kLoad) {
      const Items<Index, kLoad> won = load_items<kLoad>(index + at + j);
#pragma unroll
      for (int i = 0; i < kLoad; ++i) share.winner[j + i] = won.v[i];
    }
    return share;
  }
};

template <class T, int kWide>
struct ToAll {
  struct Share {
    float g[kWide];
    __device__ __forceinline__ float of(int j, unsigned) const { return g[j]; }
  };
  const T* dy;
  bool average;

  __device__ __forceinline__ Share load(int64_t at, int divisor) const {
    const Items<T, kWide> g = load_items<kWide>(dy + at);
    const Mean mean(divisor);
    Share share;
#pragma unroll
    for (int j = 0; j < kWide; ++j) share.g[j] = average ? mean.of(widen(g.v[j])) : widen(g.v[j]);
    return share;
  }
};

template <class T, int kWide, class Kind>
__global__ void __launch_bounds__(kPoolThreads)
    gather_kernel(PoolShape g, Kind kind, T* dx, unsigned threads) {
  const unsigned thread = blockIdx.x * kPoolThreads + threadIdx.x;
  if (thread >= threads) return;
  const PoolPlace<kWide> place(g, thread);
  const TapRange rows = g.h.windows_over(place.row), columns = g.w.windows_over(place.column);
  float sum[kWide] = {};
  for (int p = rows.first; p < rows.end; ++p) {
    const int r = g.h.tap(p, place.row);
    if (r < 0) continue;
    const int row_cells = g.h.counted(p, g.count_pads);
    const int64_t row = (static_cast<int64_t>(place.n) * g.h.windows + p) * g.w.windows;
#pragma unroll 2
    for (int q = columns.first; q < columns.end; ++q) {
      const int s = g.w.tap(q, place.column);
      if (s < 0) continue;
      const auto share =
          kind.load((row + q) * g.channels + place.channel, row_cells * g.w.counted(q, g.count_pads));
#pragma unroll
      for (int j = 0; j < kWide; ++j) sum[j] += share.of(j, static_cast<unsigned>(r * g.w.taps + s));
    }
  }
  Items<T, kWide> result;
#pragma unroll
  for (int j = 0; j < kWide; ++j) result.v[j] = Narrow<T>::from(sum[j]);
  const int64_t cell = (static_cast<int64_t>(place.n) * g.h.extent + place.row) * g.w.extent + place.column;
  store_items(dx + cell * g.channels + place.channel, result);
}

// Windows of 2x2 side by side: a thread per window reads it once and writes the four cells under it. Tiles of
// cells behind the last windows are 0.
template <class T, int kWide, class Kind>
__global__ void __launch_bounds__(kPoolThreads)
    tiles_kernel(PoolShape g, Kind kind, T* dx, unsigned threads) {
  const unsigned thread = blockIdx.x * kPoolThreads + threadIdx.x;
  if (thread >= threads) return;
  const PoolPlace<kWide> place(g, thread);
  const int p = place.row, q = place.column, h = 2 * p - g.h.pad, w = 2 * q - g.w.pad;
  const bool window = p < g.h.windows && q < g.w.windows;
  typename Kind::Share share;
  if (window) {
    const int64_t at = (static_cast<int64_t>(place.n) * g.h.windows + p) * g.w.windows + q;
    share = kind.load(at * g.channels + place.channel, g.divisor(p, q));
  }
#pragma unroll
  for (int tap = 0; tap < 4; ++tap) {
    const int row = h + tap / 2, column = w + tap % 2;
    if (!g.h.holds(row) || !g.w.holds(column)) continue;
    Items<T, kWide> result;
#pragma unroll
    for (int j = 0; j < kWide; ++j) {
      result.v[j] = Narrow<T>::from(window ? share.of(j, static_cast<unsigned>(tap)) : 0.0f);
    }
    const int64_t cell = (static_cast<int64_t>(place.n) * g.h.extent + row) * g.w.extent + column;
    store_items(dx + cell * g.channels + place.channel, result);
  }
}

bool tiled_by_two(const Pool2dSpec& s) {
  return s.R == 2 && s.S == 2 && s.stride_h == 2 && s.stride_w == 2 && s.dilation_h == 1 && s.dilation_w == 1;
}

// kind(first image of a launch) is the Kind of it, with pointers to that image.
template <int kWide, class T, class MakeKind>
void spread(const Context& context, const Pool2dSpec& s, T* dx, const MakeKind& kind) {
  using Kind = decltype(kind(int64_t{}));
  const bool tiles = tiled_by_two(s);
  const int64_t packs = s.C / kWide;
  const int64_t rows = tiles ? ceil_div(s.H + s.pad_top, 2) : s.H;
  const int64_t columns = tiles ? ceil_div(s.W + s.pad_left, 2) : s.W;
  const PoolShape shape(s, rows, columns, packs);
  const auto kernel = tiles ? tiles_kernel<T, kWide, Kind> : gather_kernel<T, kWide, Kind>;
  for_image_groups(s.N, rows * columns * packs, [&](int64_t n, unsigned threads) {
    launch(kernel, dim3(static_cast<unsigned>(ceil_div(threads, kPoolThreads))), dim3(kPoolThreads), 0,
           context, shape, kind(n), dx + n * s.H * s.W * s.C, threads);
  });
}

template <int kWide, class Index, class T>
void spread_to_winners(const Context& context, const Pool2dSpec& s, const T* dy, const Index* index, T* dx) {
  const int64_t image = s.P * s.Q * s.C;
  spread<kWide>(context, s, dx,
                [=](int64_t n) { return ToWinner<T, kWide, Index>{dy + n * image, index + n * image}; });
}

template <int kWide, class T>
void from_index(const Pool2dSpec& s, const T* dy, const uint8_t* index, T* dx, const Context& context) {
  if (index != nullptr) return spread_to_winners<kWide>(context, s, dy, index, dx);
  const int64_t image = s.P * s.Q * s.C;
  const bool average = s.kind == PoolKind::avg;
  spread<kWide>(context, s, dx, [=](int64_t n) { return ToAll<T, kWide>{dy + n * image, average}; });
}

template <class T>
void pool2d_backward_from_index(const Pool2dSpec& s, const T* dy, const uint8_t* index, T* dx,
                                const Context& context) {
  constexpr int kSize = Pack<T>::kSize;
  const bool packs =
      s.C % kSize == 0 && aligned_for_packs(dy, dx) && reinterpret_cast<uintptr_t>(index) % kSize == 0;
  const auto run = packs ? from_index<kSize, T> : from_index<1, T>;
  run(s, dy, index, dx, context);
}

template <class T>
size_t pool2d_backward_workspace(const Pool2dSpec& s, int) {
  return static_cast<size_t>(s.N * s.P * s.Q * s.C) * sizeof(uint32_t);
}

template <int kWide, class T>
void find_and_spread(const Pool2dSpec& s, const T* dy, const T* x, T* dx, const Context& context) {
  auto* winners = static_cast<uint32_t*>(context.workspace);
  find_extremes<kWide>(context, s, x, static_cast<T*>(nullptr), winners);
  spread_to_winners<kWide>(context, s, dy, static_cast<const uint32_t*>(winners), dx);
}

template <class T>
void pool2d_backward(const Pool2dSpec& s, const T* dy, const T* x, T* dx, const Context& context) {
  constexpr int kSize = Pack<T>::kSize;
  const bool packs = s.C % kSize == 0 && aligned_for_packs(dy, x, dx);
  const auto run = packs ? find_and_spread<kSize, T> : find_and_spread<1, T>;
  run(s, dy, x, dx, context);
}

}  // namespace

void add_pool2d_backward(KernelTable& table) {
  FC_ADD(table, pool2d_backward_from_index);
  FC_ADD_WITH_WORKSPACE(table, pool2d_backward);
}

}  // namespace fc::cuda
