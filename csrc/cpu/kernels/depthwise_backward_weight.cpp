// depthwise_backward_weight.cpp — gradients of a depthwise convolution's filter and bias.
//
// Math       dw[r,s,0,c·m+i] = Σ_{n,p,q} x[n, p·sh−pt+r·dh, q·sw−pl+s·dw, c] · dy[n,p,q,c·m+i]
//            dbias[k] = Σ_{n,p,q} dy[n,p,q,k]
// Shapes     x (N,H,W,C)  dy (N,P,Q,K)  dw (R,S,1,K)  dbias (K) or null   m = K/C     C-contiguous
// Blocking   along kLineBlock positions of a line of dy the nine taps of a 3x3 filter stay in registers, of
//            other filters kTapTile taps of a row; then come the next channels, and then the next positions
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
constexpr int64_t kLineBlock = 8;  // positions that all channels pass over while they are in L1

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

// One filter row along positions q of a line: sums[s][c] += Σ_q x[cell(q, s)][c] · dy[q][c] for taps s0 … s0
// + M. Edge: taps may lie outside.
template <class T, int M, int V, bool Whole>
void add_taps(const Axis& w, int64_t s0, const T* x, const T* dy, Range q_range, bool edge, int64_t channels,
              int64_t c, int64_t tail, T* sums) {
  constexpr int64_t L = kLanes<T>;
  const int64_t count = Whole ? L : tail;
  Vec<T> sum[M][V];
#pragma GCC unroll 4
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) sum[m][v] = load_up_to(sums + (s0 + m) * channels + c + v * L, count);

  for (int64_t q = q_range.begin; q < q_range.end; ++q) {
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
  }

#pragma GCC unroll 4
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) store_up_to(sums + (s0 + m) * channels + c + v * L, sum[m][v], count);
}

template <class T, int V, bool Whole, int M = kTapTile>
void add_tap_run(int64_t taps, const Axis& w, int64_t s0, const T* x, const T* dy, Range q, bool edge,
                 int64_t channels, int64_t c, int64_t tail, T* sums) {
  if constexpr (M > 1) {
    if (taps < M) {
      return add_tap_run<T, V, Whole, M - 1>(taps, w, s0, x, dy, q, edge, channels, c, tail, sums);
    }
  }
  add_taps<T, M, V, Whole>(w, s0, x, dy, q, edge, channels, c, tail, sums);
}

// All taps of a 3x3 filter at once, where none lies outside.
template <class T, bool Whole>
void add_nine_taps(const Axis& w, const T* const* lines, const T* dy, Range q_range, int64_t channels,
                   int64_t c, int64_t tail, T* sums) {
  const int64_t count = Whole ? kLanes<T> : tail;
  Vec<T> sum[9];
#pragma GCC unroll 9
  for (int tap = 0; tap < 9; ++tap) sum[tap] = load_up_to(sums + tap * channels + c, count);
  for (int64_t q = q_range.begin; q < q_range.end; ++q) {
    const Vec<T> gradient = load_up_to(dy + q * channels + c, count);
    const int64_t at = w.cell(q, 0) * channels + c;
#pragma GCC unroll 9
    for (int tap = 0; tap < 9; ++tap) {
      const T* x = lines[tap / 3] + at + tap % 3 * w.tap_step * channels;
      sum[tap] = fma<T>(load_up_to(x, count), gradient, sum[tap]);
    }
  }
#pragma GCC unroll 9
  for (int tap = 0; tap < 9; ++tap) store_up_to(sums + tap * channels + c, sum[tap], count);
}

template <class T>
struct Line {
  const Conv2dSpec& s;
  const Axis& w;
  const T* const* lines;
  const T* dy;
  T* sums;
  bool with_bias;
  bool nine;     // a 3x3 filter whose three lines lie inside the image
  Range newest;  // as in depthwise.h

  // Asks for what the block of positions after q's reads first, as fetch_positions.
  FC_INLINE void fetch(int64_t q) const {
    constexpr int64_t kLine = 64 / sizeof(T);
    const auto fetch_next = [](const T* from, int64_t run) {
      for (int64_t i = 0; i < run; i += kLine) prefetch(from + i, run * sizeof(T));
    };
    for (int64_t r = newest.begin; r < newest.end; ++r) {
      if (lines[r] != nullptr) fetch_next(lines[r] + w.cell(q, s.S - 1) * s.K, kLineBlock * w.step * s.K);
    }
    if (newest.size() > 0) fetch_next(dy + q * s.K, kLineBlock * s.K);
  }

  template <int V, bool Whole>
  void add_channels(Range q, bool edge, int64_t c, int64_t tail) const {
    constexpr int64_t L = kLanes<T>;
    if (nine && !edge) {
      for (int v = 0; v < V; ++v) add_nine_taps<T, Whole>(w, lines, dy, q, s.K, c + v * L, tail, sums);
    } else {
      for (int64_t r = 0; r < s.R; ++r) {
        if (lines[r] == nullptr) continue;
        for (int64_t tap = 0; tap < s.S; tap += kTapTile) {
          add_tap_run<T, V, Whole>(min_of(kTapTile, s.S - tap), w, tap, lines[r], dy, q, edge, s.K, c, tail,
                                   sums + r * s.S * s.K);
        }
      }
    }
    if (!with_bias) return;
    T* bias_sums = sums + s.R * s.S * s.K + c;
    for (int v = 0; v < V; ++v) {
      const int64_t n = Whole ? L : tail;
      Vec<T> sum = load_up_to(bias_sums + v * L, n);
      for (int64_t i = q.begin; i < q.end; ++i) sum += load_up_to(dy + i * s.K + c + v * L, n);
      store_up_to(bias_sums + v * L, sum, n);
    }
  }

  void add(Range q, bool edge) const {
    if (q.size() == 0) return;
    constexpr int64_t L = kLanes<T>;
    int64_t c = 0;
    for (; c + kLineVectors * L <= s.K; c += kLineVectors * L)
      add_channels<kLineVectors, true>(q, edge, c, L);
    for (; c + L <= s.K; c += L) add_channels<1, true>(q, edge, c, L);
    if (c < s.K) add_channels<1, false>(q, edge, c, s.K - c);
  }
};

template <class T>
void add_line(const Conv2dSpec& s, const Axis& w, const T* const* lines, const T* dy, bool with_bias,
              Range newest, T* sums) {
  bool nine = s.R == 3 && s.S == 3;
  for (int64_t r = 0; r < s.R; ++r) nine = nine && lines[r] != nullptr;
  const Line<T> line{s, w, lines, dy, sums, with_bias, nine, newest};
  const Range in = w.inside_all();
  line.add({0, in.begin}, true);
  for (int64_t q = in.begin; q < in.end; q += kLineBlock) {
    line.fetch(q);
    line.add({q, min_of(q + kLineBlock, in.end)}, false);
  }
  line.add({in.end, w.positions}, true);
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
  const Range newest = newest_rows_of_x<T>(s, axis_h, axis_w);

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
      add_line(s, axis_w, scratch.lines, dy + line * s.Q * s.K, dbias != nullptr, newest, sums);
    }
  });
  tree_sum(workspace.sums, workspace.chunks, sums_size, weights, dw, context.threads);
  if (dbias != nullptr) tree_sum(workspace.sums + weights, workspace.chunks, sums_size, s.K, dbias, 1);
}

#define FC_INSTANTIATE(T)                                                         \
  template size_t depthwise_backward_weight_workspace<T>(const Conv2dSpec&, int); \
  template void depthwise_backward_weight<T>(const Conv2dSpec&, const T*, const T*, T*, T*, const Context&);
FC_INSTANTIATE(float)
FC_F64(FC_INSTANTIATE(double))
#undef FC_INSTANTIATE

}  // namespace fc::cpu::FC_ISA
