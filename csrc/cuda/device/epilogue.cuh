// epilogue.cuh — what happens to a sum on its way to memory.
//
// Math       gate's map of act((sum + bias − mean)·scale + shift + addend), each where there is one; gates
//            and their edges are those of csrc/cpu/kernels/gate.h: f'(gate) ⊙ sum, where gate = f(…)
// Numerics   float32 up to the one rounding at the store; what belongs to a column is float32 in memory, too
#pragma once

#include "cuda/device/activation.cuh"
#include "cuda/device/chunk.cuh"

namespace fc::cuda {

template <class T>
struct Epilogue {
  const float *bias = nullptr, *mean = nullptr, *scale = nullptr, *shift = nullptr;  // per column
  const T *addend = nullptr, *gate = nullptr;  // laid out like the results
  Activated activation{Activation{}};          // of the sum
  Activated gated{Activation{}};               // gate = gated(…)

  // Whether chunks of the results are chunks of all that goes into them.
  bool aligned(const T* out) const { return aligned_for_packs(out, bias, mean, scale, shift, addend, gate); }

  // Whether apply_plain() does all that there is to do.
  bool plain() const {
    return addend == nullptr && gate == nullptr && (activation.kind == ActivationKind::relu || is_identity());
  }

  // V neighbouring sums, from `column` on, become results: what belongs to columns, and relu.
  template <int V>
  __device__ __forceinline__ void apply_plain(float (&v)[V], int64_t column) const {
    add_columns<V>(v, column);
    if (activation.kind == ActivationKind::relu) rectify<V>(v);
  }

  // V neighbouring sums, from `column` on, become the results that go to out[offset...].
  template <int V>
  __device__ __forceinline__ void apply(float (&v)[V], int64_t column, int64_t offset) const {
    add_columns<V>(v, column);
    if (addend != nullptr) {
      const Chunk<T, V> chunk = load_chunk<V>(addend + offset);
#pragma unroll
      for (int i = 0; i < V; ++i) v[i] += widen(chunk.v[i]);
    }
    if (activation.kind == ActivationKind::relu) {
      rectify<V>(v);
    } else if (!is_identity()) {
      activate_each<V>(v);
    }
    if (gate != nullptr) {
      const Chunk<T, V> at = load_chunk<V>(gate + offset);
#pragma unroll
      for (int i = 0; i < V; ++i) v[i] = pass_gate(v[i], widen(at.v[i]));
    }
  }

 private:
  __host__ __device__ __forceinline__ bool is_identity() const {
    return activation.kind == ActivationKind::linear && activation.alpha == 1 && activation.beta == 0;
  }

  template <int V>
  static __device__ __forceinline__ void rectify(float (&v)[V]) {
#pragma unroll
    for (int i = 0; i < V; ++i) v[i] = v[i] < 0 ? 0.0f : v[i];
  }

  template <int V>
  __device__ __forceinline__ void add_columns(float (&v)[V], int64_t column) const {
    if (bias != nullptr) {
      float b[V];
      load_values(bias + column, true, b);
#pragma unroll
      for (int i = 0; i < V; ++i) v[i] += b[i];
    }
    if (scale != nullptr) normalize<V>(v, column);
  }

  template <int V>
  __device__ __forceinline__ void normalize(float (&v)[V], int64_t column) const {
    float m[V], s[V], b[V] = {};
    load_values(mean + column, true, m);
    load_values(scale + column, true, s);
    if (shift != nullptr) load_values(shift + column, true, b);
#pragma unroll
    for (int i = 0; i < V; ++i) v[i] = fmaf(v[i] - m[i], s[i], b[i]);
  }

  // One copy of the many activations in the code, whatever V: the numbers go by it in turn.
  template <int V>
  __device__ __forceinline__ void activate_each(float (&v)[V]) const {
#pragma unroll 1
    for (int turn = 0; turn < V; ++turn) {
      v[0] = activate(activation, v[0]);
      rotate(v);
    }
  }

  __device__ __forceinline__ float pass_gate(float v, float at) const {
    switch (gated.kind) {
      case ActivationKind::relu6:
        return at > 0 && at < 6.0f ? v : 0.0f;
      case ActivationKind::leaky_relu:
        return at > 0 ? v : gated.alpha * v;
      default:  // relu, or dropout of relu: alpha is 1 / (1 - rate)
        return at > 0 ? gated.alpha * v : 0.0f;
    }
  }
};

}  // namespace fc::cuda
