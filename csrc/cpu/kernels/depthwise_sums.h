// depthwise_sums.h — the sums of a depthwise product for a few neighbouring positions.
//
// Math       out[j][c] = Σ_{r,s} lines[r][cell(j, s)][c] · w[r][s][c], then the epilogue, unless that fetches
// Blocking   M positions x V vectors of sums in registers; a filter vector is loaded once for M positions. Of the
//            windows that are common, taps and step are known to the compiler: a cell that several positions read
//            is loaded once, and the loop over taps has no addresses to compute
// Numerics   one chain of fma per output, ascending in (r,s)
// Edges      taps outside the image are left out, of single positions; the last channels are partial vectors
// Measured   a line in L1 of 56 positions, 3x3, on a Zen 5: 8 cycles for a vector of results, 13 where the window is
//            taken for any
#pragma once

#include "cpu/kernels/depthwise_line.h"

namespace fc::cpu::FC_ISA {

// Positions j … j + M of channels c … c + V vectors; M is 1 where taps may lie outside. Whole: all lanes are channels; else
// V is 1 and `tail` lanes are.
template <class T, int M, int V, bool Whole>
FC_INLINE void sum_any_tile(const DepthwiseLine<T>& line, int64_t j, int64_t c, int64_t tail) {
  constexpr int64_t L = kLanes<T>;
  const int64_t count = Whole ? L : tail;
  Vec<T> sum[M][V];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[m][v] = Vec<T>{};
  for (int64_t r = 0; r < line.taps_h; ++r) {
    if (line.lines[r] == nullptr) continue;
    for (int64_t s = 0; s < line.w.taps; ++s) {
      const int64_t cell = line.w.cell(j, s);
      if (M == 1 && !line.w.contains(cell)) continue;
      const T* x = line.lines[r] + cell * line.channels + c;
      const T* f = line.filter + r * line.filter_h + s * line.filter_w + c;
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        const Vec<T> weight = load_up_to(f + v * L, count);
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) {
          const Vec<T> value = load_up_to(x + m * line.w.step * line.channels + v * L, count);
          sum[m][v] = fma<T>(value, weight, sum[m][v]);
        }
      }
    }
  }
  if (!line.epilogue.fetches()) line.epilogue.apply_columns(sum, c, count);
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) store_up_to(line.out + (j + m) * line.out_step + c + v * L, sum[m][v], count);
}

// Channels from c on. A single position gets more vectors: enough sums to hide the latency of fma.
template <class T, int M>
__attribute__((noinline)) void sum_any_positions(const DepthwiseLine<T>& line, int64_t j, int64_t c) {
  constexpr int64_t L = kLanes<T>;
  constexpr int V = M == 1 ? 2 * kLineVectors : kLineVectors;
  for (; c + V * L <= line.channels; c += V * L) sum_any_tile<T, M, V, true>(line, j, c, L);
  for (; c + L <= line.channels; c += L) sum_any_tile<T, M, 1, true>(line, j, c, L);
  if (c < line.channels) sum_any_tile<T, M, 1, false>(line, j, c, line.channels - c);
}

// The same of whole vectors, with all taps inside.
template <class T, int M, int V, int taps, int step>
FC_INLINE void sum_tile(const DepthwiseLine<T>& line, int64_t cell, int64_t c, T* out) {
  constexpr int64_t L = kLanes<T>;
  constexpr int cells = (M - 1) * step + taps;
  const int64_t pitch = line.channels, across = line.filter_w;
  const T* filter = line.filter + c;
  Vec<T> sum[M][V];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) sum[m][v] = Vec<T>{};
  for (int64_t r = 0; r < line.taps_h; ++r, filter += line.filter_h) {
    if (line.lines[r] == nullptr) continue;
    const T* x = line.lines[r] + cell * pitch + c;
    Vec<T> value[cells][V];
#pragma GCC unroll 16
    for (int i = 0; i < cells; ++i, x += pitch)
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) value[i][v] = load(x + v * L);
    const T* weights = filter;
#pragma GCC unroll 5
    for (int s = 0; s < taps; ++s, weights += across)
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) {
        const Vec<T> weight = load(weights + v * L);
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) sum[m][v] = fma<T>(value[m * step + s][v], weight, sum[m][v]);
      }
  }
  if (!line.epilogue.fetches()) line.epilogue.apply_columns(sum, c, L);
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m, out += line.out_step)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) store(out + v * L, sum[m][v]);
}

// Positions j … j + M, all taps inside.
template <class T, int M, int taps, int step>
__attribute__((noinline)) void sum_positions(const DepthwiseLine<T>& line, int64_t j) {
  constexpr int64_t L = kLanes<T>;
  const int64_t cell = line.w.cell(j, 0), channels = line.channels;
  T* const out = line.out + j * line.out_step;
  int64_t c = 0;
  for (; c + kLineVectors * L <= channels; c += kLineVectors * L)
    sum_tile<T, M, kLineVectors, taps, step>(line, cell, c, out + c);
  for (; c + L <= channels; c += L) sum_tile<T, M, 1, taps, step>(line, cell, c, out + c);
  if (c == channels) return;
  for (int64_t m = 0; m < M; ++m) sum_any_positions<T, 1>(line, j + m, c);
}

// How positions whose windows lie inside are taken: so many at a time, by that function.
template <class T>
struct DepthwiseBlock {
  int64_t positions = kLinePositions;
  void (*sum)(const DepthwiseLine<T>&, int64_t) = [](const DepthwiseLine<T>& line, int64_t j) {
    sum_any_positions<T, kLinePositions>(line, j, 0);
  };

  // `inside`: of a line. Only of float: others are rare, and this is a lot of code.
  DepthwiseBlock(const Axis& w, int64_t inside) {
    if constexpr (std::is_same_v<T, float>) {
      if (w.taps == 1 || w.tap_step == 1) choose(w.taps, w.step, inside);
    }
  }

 private:
  void choose(int64_t taps, int64_t step, int64_t inside) {
    constexpr int M = kLinePositions, few = 4;
    const auto is = [&](int64_t n, int64_t apart) { return taps == n && step == apart; };
    if (is(1, 1)) sum = &sum_positions<T, M, 1, 1>;  // this and the next: gradients of 3x3 with a stride of 2
    if (is(2, 1)) sum = &sum_positions<T, M, 2, 1>;
    if (is(3, 1)) sum = &sum_positions<T, M, 3, 1>;
    if (is(3, 2)) sum = &sum_positions<T, M, 3, 2>;
    if (is(5, 1)) sum = &sum_positions<T, M, 5, 1>;
    if (is(5, 2)) sum = &sum_positions<T, M, 5, 2>;
    if (is(7, 1)) sum = &sum_positions<T, M, 7, 1>;
    if (is(3, 1) && inside < M) positions = few, sum = &sum_positions<T, few, 3, 1>;  // images 7x7
  }
};

}  // namespace fc::cpu::FC_ISA
