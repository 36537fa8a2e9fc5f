// depthwise_backward_weight.cpp — gradients of a depthwise convolution's filter and bias.
//
// Math       dw[r,s,0,c·m+i] = Σ_{n,p,q} x[n, p·sh−pt+r·dh, q·sw−pl+s·dw, c] · dy[n,p,q,c·m+i]
//            dbias[k] = Σ_{n,p,q} dy[n,p,q,k]
// Shapes     x (N,H,W,C)  dy (N,P,Q,K)  dw (R,S,1,K)  dbias (K) or null   m = K/C     C-contiguous
// Blocking   kTapTile taps of a filter row x V vectors of channels stay in registers along a line of dy
// Threads    over chunks of lines (n,p), cut by shape alone; their sums are added in a fixed tree
// Numerics   fma ascending along each line, lines ascending within a chunk, then the tree
// Workspace  depthwise_backward_weight_workspace(spec, threads) bytes: line pointers, for m > 1 repeated
//            lines, one dw per chunk
// Edges      taps outside the image are left out; an empty batch gives zeros
#include "cpu/kernels/conv2d.h"
#include "cpu/kernels/depthwise.h"
#include "cpu/kernels/tree_sum.h"
#include "cpu/kernels/workspace.h"

namespace fc::cpu::FC_ISA {
namespace {

constexpr int kTapTile = 4;
constexpr int64_t kMinChunkLines = 8;

template <class T>
struct Workspace {
  int64_t chunk_lines, chunks;
  T* sums;  // [chunks][R·S + 1][K]: filter and bias gradients
  SlotWorkspace slots;

  struct Scratch {
    const T** lines;
    T* repeated;
    Scratch(const Conv2dSpec& s, WorkspaceCutter& cutter)
        : lines(cutter.take<const T*>(s.R)), repeated(cutter.take<T>(s.K > s.C ? s.R * s.W * s.K : 0)) {}
  };

  Workspace(const Conv2dSpec& s, int threads, void* base) {
    chunk_lines = max_of(ceil_div(s.N * s.P, kTasks), kMinChunkLines);
    chunks = max_of(ceil_div(s.N * s.P, chunk_lines), 1);
    WorkspaceCutter cutter(base);
    sums = cutter.take<T>(chunks * (s.R * s.S + 1) * s.K);
    WorkspaceCutter one(nullptr);
    Scratch(s, one);
    slots = SlotWorkspace(cutter, one.bytes(), threads);
  }
};

// One filter row along one line: sums[s][c] += Σ_q x[cell(q, s)][c] · dy[q][c] for taps s0 … s0 + M.
template <class T, int M, int V, bool Whole>
void add_taps(const Axis& w, int64_t s0, const T* x, const T* dy, int64_t channels, int64_t c, int64_t tail,
              T* sums) {
  constexpr int64_t L = kLanes<T>;
  const int64_t count = Whole ? L : tail;
  Vec<T> sum[M][V];
#pragma GCC unroll 4
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) sum[m][v] = load_up_to(sums + (s0 + m) * channels + c + v * L, count);

  const auto add = [&](int64_t q, bool edge) {
    const T* g = dy + q * channels + c;
    Vec<T> gradient[V];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) gradient[v] = load_up_to(g + v * L, count);
#pragma GCC unroll 4
    for (int m = 0; m < M; ++m) {
      const int64_t cell = w.cell(q, s0 + m);
      if (edge && !w.contains(cell)) continue;
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) {
        sum[m][v] = fma<T>(load_up_to(x + cell * channels + c + v * L, count), gradient[v], sum[m][v]);
      }
    }
  };
  const Range in = w.inside_all();
  for (int64_t q = 0; q < in.begin; ++q) add(q, true);
  for (int64_t q = in.begin; q < in.end; ++q) add(q, false);
  for (int64_t q = in.end; q < w.positions; ++q) add(q, true);

#pragma GCC unroll 4
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) store_up_to(sums + (s0 + m) * channels + c + v * L, sum[m][v], count);
}

template <class T, int V, bool Whole, int M = kTapTile>
void add_tap_run(int64_t taps, const Axis& w, int64_t s0, const T* x, const T* dy, int64_t channels,
                 int64_t c, int64_t tail, T* sums) {
  if constexpr (M > 1) {
    if (taps < M) return add_tap_run<T, V, Whole, M - 1>(taps, w, s0, x, dy, channels, c, tail, sums);
  }
  add_taps<T, M, V, Whole>(w, s0, x, dy, channels, c, tail, sums);
}

template <class T, int V, bool Whole>
void add_channels(const Conv2dSpec& s, const Axis& w, const T* const* lines, const T* dy, int64_t c,
                  int64_t tail, T* sums) {
  constexpr int64_t L = kLanes<T>;
  for (int64_t r = 0; r < s.R; ++r) {
    if (lines[r] == nullptr) continue;
    for (int64_t tap = 0; tap < s.S; tap += kTapTile) {
      add_tap_run<T, V, Whole>(min_of(kTapTile, s.S - tap), w, tap, lines[r], dy, s.K, c, tail,
                               sums + r * s.S * s.K);
    }
  }
  T* bias_sums = sums + s.R * s.S * s.K + c;
  for (int v = 0; v < V; ++v) {
    const int64_t n = Whole ? L : tail;
    Vec<T> sum{};
    for (int64_t q = 0; q < s.Q; ++q) sum += load_up_to(dy + q * s.K + c + v * L, n);
    store_up_to(bias_sums + v * L, load_up_to(bias_sums + v * L, n) + sum, n);
  }
}

template <class T>
void add_line(const Conv2dSpec& s, const Axis& w, const T* const* lines, const T* dy, T* sums) {
  constexpr int64_t L = kLanes<T>;
  int64_t c = 0;
  for (; c + kLineVectors * L <= s.K; c += kLineVectors * L) {
    add_channels<T, kLineVectors, true>(s, w, lines, dy, c, L, sums);
  }
  for (; c + L <= s.K; c += L) add_channels<T, 1, true>(s, w, lines, dy, c, L, sums);
  if (c < s.K) add_channels<T, 1, false>(s, w, lines, dy, c, s.K - c, sums);
}

}  // namespace

template <class T>
size_t depthwise_backward_weight_workspace(const Conv2dSpec& s, int threads) {
  return Workspace<T>(s, threads, nullptr).slots.total_bytes;
}

template <class T>
void depthwise_backward_weight(const Conv2dSpec& s, const T* x, const T* dy, T* dw, T* dbias,
                               const Context& context) {
  const Workspace<T> workspace(s, context.threads, context.workspace);
  const Axis axis_h = forward_axis_h(s), axis_w = forward_axis_w(s);
  const int64_t weights = s.R * s.S * s.K, sums_size = weights + s.K;

  parallel_for_slots(context.threads, workspace.chunks, [&](int64_t chunk, int slot) {
    WorkspaceCutter cutter = workspace.slots.at(slot);
    const typename Workspace<T>::Scratch scratch(s, cutter);
    T* sums = workspace.sums + chunk * sums_size;
    for (int64_t i = 0; i < sums_size; ++i) sums[i] = T(0);
    const int64_t begin = chunk * workspace.chunk_lines,
                  end = min_of(begin + workspace.chunk_lines, s.N * s.P);
    for (int64_t line = begin; line < end; ++line) {
      point_lines(x + line / s.P * s.H * s.W * s.C, axis_h, line % s.P, s.W, s.C, s.K / s.C, scratch.repeated,
                  scratch.lines);
      add_line(s, axis_w, scratch.lines, dy + line * s.Q * s.K, sums);
    }
  });
  tree_sum(workspace.sums, workspace.chunks, sums_size, weights, dw, context.threads);
  if (dbias != nullptr) tree_sum(workspace.sums + weights, workspace.chunks, sums_size, s.K, dbias, 1);
}

#define FC_INSTANTIATE(T)                                                         \
  template size_t depthwise_backward_weight_workspace<T>(const Conv2dSpec&, int); \
  template void depthwise_backward_weight<T>(const Conv2dSpec&, const T*, const T*, T*, T*, const Context&);
FC_INSTANTIATE(float)
FC_INSTANTIATE(double)
#undef FC_INSTANTIATE

}  // namespace fc::cpu::FC_ISA
