// epilogue.h — what happens to a sum on its way to memory: bias, then activation; backwards, a gate.
//
// Activations of a few instructions run in registers; the others, and the gate, run over the finished block,
// still in L1.
#pragma once

#include "cpu/kernels/gate.h"

namespace fc::cpu::FC_ISA {

inline bool is_identity(const Activation& a) {
  return a.kind == ActivationKind::linear && a.alpha == 1 && a.beta == 0;
}

inline bool fits_registers(const Activation& a) {
  return is_identity(a) || a.kind == ActivationKind::relu || a.kind == ActivationKind::relu6 ||
         a.kind == ActivationKind::leaky_relu;
}

template <class T>
struct Epilogue {
  const T* bias = nullptr;
  Activation activation;
  Gate<T> gate{};

  template <int M, int V>
  FC_INLINE void activate(Vec<T> (&tile)[M][V]) const {
    switch (activation.kind) {
      case ActivationKind::relu:
        return map(tile, Relu<T>{});
      case ActivationKind::relu6:
        return map(tile, Relu6<T>{});
      case ActivationKind::leaky_relu:
        return map(tile, LeakyRelu<T>{broadcast(T(activation.alpha))});
      default:
        return;
    }
  }

  // The gate and the activations that did not fit registers, over `count` rows of `columns` elements, `step`
  // apart.
  void finish(T* out, int64_t step, int64_t count, int64_t columns) const {
    if (fits_registers(activation) && gate.open()) return;
    if (step == columns) columns *= count, count = 1;  // neighbours in one call
    for (int64_t i = 0; i < count; ++i, out += step) {
      if (!fits_registers(activation)) apply_activation(activation, out, columns);
      gate.finish(out, columns);
    }
  }

  // The same over rows out[0..count).
  void finish(T* const* out, int64_t count, int64_t column, int64_t columns) const {
    if (fits_registers(activation) && gate.open()) return;
    for (int64_t i = 0, next; i < count; i = next) {
      for (next = i + 1; next < count && out[next] == out[next - 1] + columns;)
        ++next;  // neighbours in one call
      finish(out[i] + column, columns, next - i, columns);
    }
  }

 private:
  template <int M, int V, class F>
  FC_INLINE static void map(Vec<T> (&tile)[M][V], const F& f) {
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) tile[i][v] = f.value(tile[i][v]);
  }
};

}  // namespace fc::cpu::FC_ISA
