// gate.h — the gradient of an activation, taken in by the kernel that makes its dy: one pass over memory
// less.
//
// Math       dx ← f'(gate) ⊙ dx, where gate = f(…) has dx's shape and layout:
//            relu        gate > 0 ? alpha·dx : 0        alpha = 1, or dropout's 1/(1−rate): with
//                        gate = dropout(relu(x)) the two gradients are this one map, and no mask is drawn
//                        again
//            relu6       0 < gate < 6 ? dx : 0
//            leaky_relu  gate > 0 ? dx : alpha·dx       alpha > 0
// Numerics   bit for bit what dropout and activation_backward_from_output give
// Edges      NaN in gate gives 0 (leaky_relu: alpha·dx); where the map is 0 an infinite dx does not matter
#pragma once

#include "cpu/kernels/activation.h"

namespace fc::cpu::FC_ISA {

template <class T>
struct Gate {
  Activation activation;
  const T* values = nullptr;  // null: no gate
  const T* dx = nullptr;      // where the array that `values` is laid out like begins

  bool open() const { return values == nullptr; }

  // The gate's values for the results that lie at `data`, a place in dx.
  const T* at(const T* data) const { return values + (data - dx); }

  // data[i] ← f'(gate)·data[i] for i < n; data lies in dx. Serial, meant for data that is still in cache.
  void finish(T* data, int64_t n) const {
    if (open()) return;
    const T* gate = at(data);
    with([&](const auto& f) {
      for_each_vector<T>(n, [&](int64_t i, int64_t count) {
        store_up_to(data + i, f(load_up_to(data + i, count), load_up_to(gate + i, count)), count);
      });
    });
  }

  // Calls body(f) with the map f(dx, gate) on vectors, for loops that gate what they hold in registers.
  template <class F>
  FC_INLINE void with(const F& body) const {
    const Vec<T> alpha = broadcast(static_cast<T>(activation.alpha));
    switch (activation.kind) {
      case ActivationKind::relu6:
        return body([](Vec<T> v, Vec<T> gate) { return Relu6<T>{}.gradient_from_output(v, gate); });
      case ActivationKind::leaky_relu:
        return body(
            [alpha](Vec<T> v, Vec<T> gate) { return LeakyRelu<T>{alpha}.gradient_from_output(v, gate); });
      default:
        return body(
            [alpha](Vec<T> v, Vec<T> gate) { return Relu<T>{}.gradient_from_output(v * alpha, gate); });
    }
  }
};

}  // namespace fc::cpu::FC_ISA
