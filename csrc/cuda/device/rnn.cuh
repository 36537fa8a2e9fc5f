// rnn.cuh — what both directions of a recurrence share: where a step's rows lie.
//
// A block takes a few samples through all their steps, so that a step needs barriers of the block alone.
#pragma once

#include "core/rnn_spec.h"
#include "cuda/device/activation.cuh"

namespace fc::cuda {

inline constexpr int kRnnThreads = 256;
inline constexpr int kRnnSamples = 4;  // of a block: what one load of a weight is used for

// Out of line: the gates' copies of every activation would take the registers.
__device__ __noinline__ inline float activated(Activated f, float x) {
  return activate(f, x);
}
__device__ __noinline__ inline float slope(Activated f, float dy, float y) {
  return activation_gradient_from_output(f, dy, y);
}

struct Recurrence {
  RnnKind kind;
  bool reverse, aligned;
  int64_t N, T, U, width;  // width: G·U
  Activated activation, gate_activation;

  explicit Recurrence(const RnnSpec& s)
      : kind(s.kind),
        reverse(s.reverse),
        aligned(s.aligned),
        N(s.N),
        T(s.T),
        U(s.U),
        width(s.gates() * s.U),
        activation(s.activation),
        gate_activation(s.gate_activation) {}

  __device__ __forceinline__ int64_t time(int64_t step) const { return reverse ? T - 1 - step : step; }
  __device__ __forceinline__ int64_t place(int64_t step) const { return aligned ? time(step) : step; }

  // Samples of this block, from `first` on.
  __device__ __forceinline__ int64_t first() const { return int64_t{blockIdx.x} * kRnnSamples; }
  __device__ __forceinline__ int count() const {
    const int64_t left = N - first();
    return left < kRnnSamples ? static_cast<int>(left) : kRnnSamples;
  }
  // The i-th sample of this block; beyond the last one, the last.
  __device__ __forceinline__ int64_t sample(int i) const {
    const int64_t at = first() + i;
    return at < N ? at : N - 1;
  }
  // Where the row of a sample begins in an array (N, T, columns).
  __device__ __forceinline__ int64_t row(int64_t sample, int64_t at, int64_t columns) const {
    return (sample * T + at) * columns;
  }
  // A number of the state before a step.
  template <class T_>
  __device__ __forceinline__ float before(const T_* y, const T_* initial, int64_t sample, int64_t step,
                                          int64_t u) const {
    if (step > 0) return load(y + row(sample, place(step - 1), U) + u);
    return initial != nullptr ? load(initial + sample * U + u) : 0.0f;
  }
};

inline dim3 rnn_grid(const RnnSpec& s) {
  return dim3(static_cast<unsigned>(ceil_div(s.N, kRnnSamples)));
}

}  // namespace fc::cuda
