// rnn_forward.cu — the steps of a recurrent layer.
//
// Math       csrc/cpu/kernels/rnn_forward.cpp
// Shapes     p (N,T,G·U)  recurrent (U,G·U)  bias (G·U) float32, h0, c0 (N,U) or null  y (N,T,U)
//            gates (N,T,4·U): i f g o of lstm, z r g m of gru; state (N,T,U): c of lstm
// Grid/Block a block of 256 threads takes 4 samples through all steps: a thread has a column of the product,
//            then a cell of the state
// Shared memory none: the weights and the states of 4 samples stay in L1 and L2
// Registers  a sum per sample
// Numerics   float32, one chain per sum; what is stored, and read by the next step, is rounded to T, but for
//            c
// Workspace  the sums of a step and c, float32
// Edges      an empty batch launches nothing
// Source     Hochreiter and Schmidhuber 1997; Cho et al. 2014; Keras 3 for the order of the gates
#include "cuda/device/rnn.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

template <class T>
struct Arrays {
  const T *p, *recurrent;
  const float* bias;
  const T *h0, *c0;
  T *y, *gates, *state;
  float *sums, *cells;  // (N, G·U) and (N, U)
};

// Columns [begin, end) of a step's sums; `left` is the k-th number of what a sample multiplies R with.
template <class T, class Left>
__device__ __forceinline__ void multiply(const Recurrence& g, const Arrays<T>& a, int64_t step, int64_t begin,
                                         int64_t end, const Left& left) {
  const int64_t from_inputs = g.kind == RnnKind::gru ? 2 * g.U : g.width;
  const int count = g.count();
  for (int64_t j = begin + threadIdx.x; j < end; j += kRnnThreads) {
    const float bias = a.bias == nullptr ? 0.0f : a.bias[j];
    float sums[kRnnSamples];
#pragma unroll
    for (int i = 0; i < kRnnSamples; ++i) {
      sums[i] = bias + (j < from_inputs ? load(a.p + g.row(g.sample(i), g.time(step), g.width) + j) : 0.0f);
    }
    for (int64_t k = 0; k < g.U; ++k) {
      const float weight = load(a.recurrent + k * g.width + j);
#pragma unroll
      for (int i = 0; i < kRnnSamples; ++i) sums[i] += left(g.sample(i), k) * weight;
    }
#pragma unroll
    for (int i = 0; i < kRnnSamples; ++i) {
      if (i < count) a.sums[g.sample(i) * g.width + j] = sums[i];
    }
  }
}

template <class T>
__device__ __forceinline__ float lstm_cell(const Recurrence& g, const Arrays<T>& a, int64_t sample,
                                           int64_t step, int64_t u) {
  const float* sums = a.sums + sample * g.width + u;
  const float input = activated(g.gate_activation, sums[0]), forget = activated(g.gate_activation, sums[g.U]);
  const float candidate = activated(g.activation, sums[2 * g.U]);
  const float output = activated(g.gate_activation, sums[3 * g.U]);
  float* cell = a.cells + sample * g.U + u;
  const float before = step > 0 ? *cell : a.c0 != nullptr ? load(a.c0 + sample * g.U + u) : 0.0f;
  const float c = input * candidate + forget * before;
  T* saved = a.gates + g.row(sample, g.place(step), 4 * g.U) + u;
  store(saved, input), store(saved + g.U, forget);
  store(saved + 2 * g.U, candidate), store(saved + 3 * g.U, output);
  *cell = c;
  store(a.state + g.row(sample, g.place(step), g.U) + u, c);
  return output * activated(g.activation, c);
}

template <class T>
__device__ __forceinline__ float gru_cell(const Recurrence& g, const Arrays<T>& a, int64_t sample,
                                          int64_t step, int64_t u) {
  const float* sums = a.sums + sample * g.width + u;
  const float update = activated(g.gate_activation, sums[0]);
  T* saved = a.gates + g.row(sample, g.place(step), 4 * g.U) + u;
  float inner = sums[2 * g.U];
  store(saved, update);
  if (g.kind == RnnKind::gru) {
    const float reset = activated(g.gate_activation, sums[g.U]);
    store(saved + g.U, reset);
    store(saved + 3 * g.U, inner);
    inner = load(a.p + g.row(sample, g.time(step), g.width) + 2 * g.U + u) + reset * inner;
  }
  const float candidate = activated(g.activation, inner);
  store(saved + 2 * g.U, candidate);
  return update * (g.before(a.y, a.h0, sample, step, u) - candidate) + candidate;
}

// f(sample, u) for every cell of the block's samples.
template <class F>
__device__ __forceinline__ void for_each_cell(const Recurrence& g, const F& f) {
  for (int64_t i = threadIdx.x; i < g.count() * g.U; i += kRnnThreads) f(g.first() + i / g.U, i % g.U);
}

template <class T>
__global__ void __launch_bounds__(kRnnThreads)
    forward_kernel(const __grid_constant__ Recurrence g, const __grid_constant__ Arrays<T> a) {
  const int64_t all = g.kind == RnnKind::gru_before ? 2 * g.U : g.width;
  for (int64_t step = 0; step < g.T; ++step) {
    multiply(g, a, step, 0, all,
             [&](int64_t sample, int64_t k) { return g.before(a.y, a.h0, sample, step, k); });
    __syncthreads();
    if (g.kind == RnnKind::gru_before) {
      for_each_cell(g, [&](int64_t sample, int64_t u) {
        T* saved = a.gates + g.row(sample, g.place(step), 4 * g.U) + u;
        const float reset = activated(g.gate_activation, a.sums[sample * g.width + g.U + u]);
        store(saved + g.U, reset);
        store(saved + 3 * g.U, reset * g.before(a.y, a.h0, sample, step, u));
      });
      __syncthreads();
      multiply(g, a, step, all, g.width, [&](int64_t sample, int64_t k) {
        return load(a.gates + g.row(sample, g.place(step), 4 * g.U) + 3 * g.U + k);
      });
      __syncthreads();
    }
    for_each_cell(g, [&](int64_t sample, int64_t u) {
      const float h = g.kind == RnnKind::simple_rnn ? activated(g.activation, a.sums[sample * g.width + u])
                      : g.kind == RnnKind::lstm     ? lstm_cell(g, a, sample, step, u)
                                                    : gru_cell(g, a, sample, step, u);
      store(a.y + g.row(sample, g.place(step), g.U) + u, h);
    });
    __syncthreads();
  }
}

template <class T>
size_t rnn_forward_workspace(const RnnSpec& s, int) {
  return static_cast<size_t>(s.N * (s.gates() + 1) * s.U) * sizeof(float);
}

template <class T>
void rnn_forward(const RnnSpec& s, const T* p, const T* recurrent, const float* bias, const T* h0,
                 const T* c0, T* y, T* gates, T* state, const Context& context) {
  if (s.N == 0) return;
  float* sums = static_cast<float*>(context.workspace);
  const Arrays<T> arrays{p, recurrent, bias, h0, c0, y, gates, state, sums, sums + s.N * s.gates() * s.U};
  launch(forward_kernel<T>, rnn_grid(s), dim3(kRnnThreads), 0, context, Recurrence(s), arrays);
}

}  // namespace

void add_rnn_forward(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, rnn_forward);
}

}  // namespace fc::cuda
