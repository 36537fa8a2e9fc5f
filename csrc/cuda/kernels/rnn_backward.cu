// rnn_backward.cu — gradients of a recurrent layer's steps, from the last to the first.
//
// Math       csrc/cpu/kernels/rnn_backward.cpp
// Shapes     dy, dstate, y, state (N,T,U)  before (N,T,U), of gru_before (N,T,2·U)  gates (N,T,4·U)  dp, dr
//            (N,T,G·U)  h0 c0 dh0 dc0 (N,U)
//            dr: of gru alone, the others' is dp. null: dy, dstate that are zero; what there is none of
// Grid/Block a block of 256 threads takes 4 samples through all steps: a thread has a cell of the state, then
//            a warp a row of R, which it reads side by side
// Shared memory none
// Registers  a sum per sample
// Numerics   float32, a product by 32 lanes and a butterfly; dh and dc are not rounded between steps
// Workspace  dh, dc and dm, float32
// Edges      an empty batch launches nothing
// Source     Werbos 1990, backpropagation through time
#include "cuda/device/reduce.cuh"
#include "cuda/device/rnn.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

template <class T>
struct Arrays {
  const T *dy, *dstate, *y, *gates, *state, *recurrent, *h0, *c0;
  T *dp, *dr, *before, *dh0, *dc0;
  float *dh, *dc, *dm;  // (N, U)
};

// out[u] (+)= Σ_j d[j] · R[u][j], j in [begin, end): a warp for a row of R.
template <class T>
__device__ __forceinline__ void multiply(const Recurrence& g, const Arrays<T>& a, const T* d, int64_t step,
                                         int64_t begin, int64_t end, float* out, bool accumulate) {
  const int lane = static_cast<int>(threadIdx.x % kWarp), count = g.count();
  for (int64_t u = threadIdx.x / kWarp; u < g.U; u += kRnnThreads / kWarp) {
    float sums[kRnnSamples] = {};
    for (int64_t j = begin + lane; j < end; j += kWarp) {
      const float weight = load(a.recurrent + u * g.width + j);
#pragma unroll
      for (int i = 0; i < kRnnSamples; ++i) {
        sums[i] += load(d + g.row(g.sample(i), g.time(step), g.width) + j) * weight;
      }
    }
#pragma unroll
    for (int i = 0; i < kRnnSamples; ++i) {
      const float sum = reduce_lanes<kWarp>(sums[i], Sum());
      float* to = out + g.sample(i) * g.U + u;
      if (lane == 0 && i < count) *to = accumulate ? *to + sum : sum;
    }
  }
}

template <class T>
__device__ __forceinline__ void lstm_cell(const Recurrence& g, const Arrays<T>& a, int64_t sample,
                                          int64_t step, int64_t u, float dh) {
  const int64_t at = g.row(sample, g.place(step), g.U) + u;
  const T* saved = a.gates + g.row(sample, g.place(step), 4 * g.U) + u;
  const float input = load(saved), forget = load(saved + g.U);
  const float candidate = load(saved + 2 * g.U), output = load(saved + 3 * g.U);
  const float value = activated(g.activation, load(a.state + at));
  float* dc = a.dc + sample * g.U + u;
  float d = *dc + slope(g.activation, dh * output, value);
  if (a.dstate != nullptr) d += load(a.dstate + at);
  T* da = a.dp + g.row(sample, g.time(step), g.width) + u;
  store(da, slope(g.gate_activation, d * candidate, input));
  store(da + g.U, slope(g.gate_activation, d * g.before(a.state, a.c0, sample, step, u), forget));
  store(da + 2 * g.U, slope(g.activation, d * input, candidate));
  store(da + 3 * g.U, slope(g.gate_activation, dh * value, output));
  *dc = d * forget;
}

// Returns what the state before gets directly. Of gru_before the reset gate waits for its product.
template <class T>
__device__ __forceinline__ float gru_cell(const Recurrence& g, const Arrays<T>& a, int64_t sample,
                                          int64_t step, int64_t u, float before, float dh) {
  const T* saved = a.gates + g.row(sample, g.place(step), 4 * g.U) + u;
  const float update = load(saved), reset = load(saved + g.U), candidate = load(saved + 2 * g.U);
  const int64_t at = g.row(sample, g.time(step), g.width) + u;
  const float dz = slope(g.gate_activation, dh * (before - candidate), update);
  const float dg = slope(g.activation, dh * (1.0f - update), candidate);
  store(a.dp + at, dz), store(a.dp + at + 2 * g.U, dg);
  if (g.kind == RnnKind::gru) {
    const float m = load(saved + 3 * g.U);
    const float dreset = slope(g.gate_activation, dg * m, reset);
    store(a.dp + at + g.U, dreset);
    store(a.dr + at, dz), store(a.dr + at + g.U, dreset), store(a.dr + at + 2 * g.U, dg * reset);
  }
  return dh * update;
}

template <class T>
__device__ __forceinline__ void cell(const Recurrence& g, const Arrays<T>& a, int64_t sample, int64_t step,
                                     int64_t u) {
  const int64_t at = g.row(sample, g.place(step), g.U) + u;
  const float before = g.before(a.y, a.h0, sample, step, u);
  if (a.before != nullptr) {
    const bool both = g.kind == RnnKind::gru_before;
    T* multiplied = a.before + g.row(sample, g.time(step), both ? 2 * g.U : g.U) + u;
    store(multiplied, before);
    if (both) multiplied[g.U] = a.gates[g.row(sample, g.place(step), 4 * g.U) + 3 * g.U + u];
  }
  float* dh = a.dh + sample * g.U + u;
  const float d = *dh + (a.dy != nullptr ? load(a.dy + at) : 0.0f);
  if (g.kind == RnnKind::simple_rnn) {
    store(a.dp + g.row(sample, g.time(step), g.U) + u, slope(g.activation, d, load(a.y + at)));
  } else if (g.kind == RnnKind::lstm) {
    lstm_cell(g, a, sample, step, u, d);
  } else {
    *dh = gru_cell(g, a, sample, step, u, before, d);
  }
}

template <class T>
__device__ __forceinline__ void reset_cell(const Recurrence& g, const Arrays<T>& a, int64_t sample,
                                           int64_t step, int64_t u) {
  const float dm = a.dm[sample * g.U + u];
  const float reset = load(a.gates + g.row(sample, g.place(step), 4 * g.U) + g.U + u);
  const float before = g.before(a.y, a.h0, sample, step, u);
  store(a.dp + g.row(sample, g.time(step), g.width) + g.U + u, slope(g.gate_activation, dm * before, reset));
  a.dh[sample * g.U + u] += dm * reset;
}

template <class T>
__global__ void __launch_bounds__(kRnnThreads, 2)
    backward_kernel(const __grid_constant__ Recurrence g, const __grid_constant__ Arrays<T> a) {
  const int64_t begin = g.first() * g.U, end = begin + g.count() * g.U;  // of the cells of this block
  for (int64_t i = begin + threadIdx.x; i < end; i += kRnnThreads) a.dh[i] = 0.0f, a.dc[i] = 0.0f;
  const bool gru = g.kind == RnnKind::gru || g.kind == RnnKind::gru_before;
  const T* const da = a.dr != nullptr ? a.dr : a.dp;
  __syncthreads();
  for (int64_t step = g.T - 1; step >= 0; --step) {
    for (int64_t i = begin + threadIdx.x; i < end; i += kRnnThreads) cell(g, a, i / g.U, step, i % g.U);
    __syncthreads();
    if (g.kind == RnnKind::gru_before) {
      multiply(g, a, da, step, 2 * g.U, g.width, a.dm, false);
      __syncthreads();
      for (int64_t i = begin + threadIdx.x; i < end; i += kRnnThreads) {
        reset_cell(g, a, i / g.U, step, i % g.U);
      }
      __syncthreads();
    }
    multiply(g, a, da, step, 0, g.kind == RnnKind::gru_before ? 2 * g.U : g.width, a.dh, gru);
    __syncthreads();
  }
  for (int64_t i = begin + threadIdx.x; i < end; i += kRnnThreads) {
    if (a.dh0 != nullptr) store(a.dh0 + i, a.dh[i]);
    if (a.dc0 != nullptr) store(a.dc0 + i, a.dc[i]);
  }
}

template <class T>
size_t rnn_backward_workspace(const RnnSpec& s, int) {
  return static_cast<size_t>(3 * s.N * s.U) * sizeof(float);
}

template <class T>
void rnn_backward(const RnnSpec& s, const T* dy, const T* dstate, const T* y, const T* gates, const T* state,
                  const T* recurrent, const T* h0, const T* c0, T* dp, T* dr, T* before, T* dh0, T* dc0,
                  const Context& context) {
  if (s.N == 0) return;
  float* dh = static_cast<float*>(context.workspace);
  const int64_t cells = s.N * s.U;
  const Arrays<T> arrays{dy, dstate, y,      gates, state, recurrent, h0,         c0,
                         dp, dr,     before, dh0,   dc0,   dh,        dh + cells, dh + 2 * cells};
  launch(backward_kernel<T>, rnn_grid(s), dim3(kRnnThreads), 0, context, Recurrence(s), arrays);
}

}  // namespace

void add_rnn_backward(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, rnn_backward);
}

}  // namespace fc::cuda
