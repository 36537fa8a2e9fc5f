// winograd_filter.h — filters in the Winograd domain: U = G g Gᵀ, once per call.
//
// Shapes     g (R,R,C,K)  ->  u [point][panel][c][width], ready for multiply_tile; points lie
//            winograd_u_stride apart
#pragma once

#include "cpu/kernels/finite.h"
#include "cpu/kernels/igemm_problem.h"
#include "cpu/kernels/winograd_transform.h"
#include "cpu/parallel.h"
#include "cpu/simd/transpose.h"

namespace fc::cpu::FC_ISA {

// g[r][s][c][k]: the filter of a forward pass as it lies in memory, or, rotated, the one of its
// backward-input, which turns by 180 degrees and swaps channels and filters.
template <class T>
struct WinogradFilter {
  const T* w;
  bool rotated;
};

// From one point of u to the next.
template <class T>
inline int64_t winograd_u_stride(int64_t C, const Panels<T>& panels) {
  return plane_size<T>(panels.vectors * kLanes<T>, C);
}

// U of one channel and one vector of filters.
template <class T, int R>
FC_INLINE void transform_filter(const Vec<T> (&g)[R][R], int64_t point_stride, T* u) {
  Vec<T> rows[6][R];
#pragma GCC unroll 5
  for (int s = 0; s < R; ++s) {
    Vec<T> column[R], points[6];
#pragma GCC unroll 5
    for (int r = 0; r < R; ++r) column[r] = g[r][s];
    winograd_filter<T, R>(column, points);
#pragma GCC unroll 6
    for (int i = 0; i < 6; ++i) rows[i][s] = points[i];
  }
#pragma GCC unroll 6
  for (int i = 0; i < 6; ++i) {
    Vec<T> points[6];
    winograd_filter<T, R>(rows[i], points);
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) store(u + (i * 6 + j) * point_stride, points[j]);
  }
}

// turned[r][s][i]: filters k … of channel c + i, i < channels, of rotated filters.
template <class T, int R>
FC_INLINE void load_rotated(const WinogradFilter<T>& filter, int64_t C, int64_t K, int64_t c,
                            int64_t channels, int64_t k, int64_t filters, Vec<T> (&turned)[R][R][kLanes<T>]) {
  for (int r = 0; r < R; ++r) {
    for (int s = 0; s < R; ++s) {
      const T* from = filter.w + (((R - 1 - r) * R + R - 1 - s) * K + k) * C + c;
      for (int64_t i = 0; i < kLanes<T>; ++i) {
        turned[r][s][i] = i < filters ? load_up_to(from + i * C, channels) : Vec<T>{};
      }
      transpose<T>(turned[r][s]);
    }
  }
}

// Asks for what transform_piece reads.
template <class T, int R>
FC_INLINE void fetch_filter(const WinogradFilter<T>& filter, int64_t C, int64_t K, int64_t c,
                            int64_t channels, int64_t k, int64_t filters) {
  for (int r = 0; r < R; ++r) {
    for (int s = 0; s < R; ++s) {
      if (!filter.rotated) {
        const T* from = filter.w + ((r * R + s) * C + c) * K + k;
        for (int64_t i = 0; i < channels; ++i) __builtin_prefetch(from + i * K);
      } else {
        const T* from = filter.w + ((r * R + s) * K + k) * C + c;
        for (int64_t i = 0; i < filters; ++i) __builtin_prefetch(from + i * C);
      }
    }
  }
}

// U of up to a vector of channels and of filters; those of one channel to u, of the next one `row` behind.
// Returns 0, or NaN where a filter is infinite or NaN: the zeros of the padding would make NaNs of it.
template <class T, int R>
inline T transform_piece(const WinogradFilter<T>& filter, int64_t C, int64_t K, int64_t c, int64_t k,
                         int64_t point_stride, T* u, int64_t row) {
  constexpr int64_t L = kLanes<T>;
  const int64_t channels = min_of(L, C - c), filters = min_of(L, K - k);
  FiniteWatch<T> watch;
  const auto transform = [&](int64_t i, const auto& tap) {
    Vec<T> g[R][R];
#pragma GCC unroll 5
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 5
      for (int s = 0; s < R; ++s) {
        g[r][s] = tap(r, s);
        watch.see(g[r][s]);
      }
    transform_filter<T, R>(g, point_stride, u + i * row);
  };
  if (filter.rotated) {
    Vec<T> turned[R][R][L];
    load_rotated<T, R>(filter, C, K, c, channels, k, filters, turned);
    for (int64_t i = 0; i < channels; ++i) transform(i, [&](int r, int s) { return turned[r][s][i]; });
  } else {
    const T* from = filter.w + c * K + k;
    for (int64_t i = 0; i < channels; ++i, from += K) {
      transform(i, [&](int r, int s) { return load_up_to(from + (r * R + s) * C * K, filters); });
    }
  }
  return watch.total();
}

// How many pieces transform_filters works in.
template <class T>
inline int64_t winograd_filter_pieces(int64_t C, const Panels<T>& panels) {
  return panels.vectors * ceil_div(C, kLanes<T>);
}

// False where a filter is not finite. `sums` has an element per piece.
template <class T, int R>
bool transform_filters(const WinogradFilter<T>& filter, int64_t C, int64_t K, T* u, T* sums, int threads) {
  constexpr int64_t L = kLanes<T>;
  const Panels<T> panels(K);
  const int64_t channel_blocks = ceil_div(C, L), point_stride = winograd_u_stride(C, panels);
  const int64_t pieces = winograd_filter_pieces(C, panels);
  parallel_for(threads, pieces, [&](int64_t task) {
    const int64_t vector = task / channel_blocks, c = task % channel_blocks * L;
    int64_t panel = 0;
    while (panels.vectors_of(panel).end <= vector) ++panel;
    const Range vectors = panels.vectors_of(panel);
    const int64_t row = vectors.size() * L;
    T* to = u + vectors.begin * L * C + c * row + (vector - vectors.begin) * L;
    sums[task] = transform_piece<T, R>(filter, C, K, c, vector * L, point_stride, to, row);
  });
  T total = 0;
  for (int64_t i = 0; i < pieces; ++i) total += sums[i];
  return total == T(0);
}

}  // namespace fc::cpu::FC_ISA
