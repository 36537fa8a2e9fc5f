// epilogue.h — what happens to a sum on its way to memory.
//
// Math       gate's map of act((sum + bias − mean)·scale + shift + addend), each where there is one: mean,
//            scale and shift are a batch normalisation with given statistics, the addend is the other branch
//            of a residual block or the other gradient of a value that two read, the gate is in gate.h
// Blocking   all of it in registers, but activations of more than a few instructions: these run over the
//            finished block, still in L1. No gate follows one
// Numerics   bit for bit what the kernels give that do these steps one by one
#pragma once

#include "cpu/kernels/gate.h"
#include "cpu/simd/stream.h"

namespace fc::cpu::FC_ISA {

inline bool is_identity(const Activation& a) {
  return a.kind == ActivationKind::linear && a.alpha == 1 && a.beta == 0;
}

inline bool fits_registers(const Activation& a) {
  return is_identity(a) || a.kind == ActivationKind::relu || a.kind == ActivationKind::relu6 ||
         a.kind == ActivationKind::leaky_relu;
}

// (v − mean)·scale + shift per column; centred first, see batch_norm_inference.cpp.
template <class T>
struct Normalization {
  const T *mean = nullptr, *scale = nullptr;  // both or none
  const T* shift = nullptr;                   // null: 0
};

// What is added to the results, laid out like the array that begins at `results`.
template <class T>
struct Addend {
  const T *values = nullptr, *results = nullptr;

  const T* at(const T* data) const { return values + (data - results); }

  // Added to n neighbours in memory that no tile has on its way.
  void finish(T* data, int64_t n) const {
    if (values == nullptr) return;
    const T* add = at(data);
    for_each_vector<T>(n, [&](int64_t i, int64_t count) {
      store_up_to(data + i, load_up_to(data + i, count) + load_up_to(add + i, count), count);
    });
  }
};

template <class T>
struct Epilogue {
  const T* bias = nullptr;
  Activation activation;
  Gate<T> gate{};
  Normalization<T> normalization{};
  Addend<T> addend{};

  // As seen from column `first` on.
  Epilogue from_column(int64_t first) const {
    Epilogue e = *this;
    for (const T** columns :
         {&e.bias, &e.normalization.mean, &e.normalization.scale, &e.normalization.shift}) {
      if (*columns != nullptr) *columns += first;
    }
    return e;
  }

  // V vectors of M rows of sums, from `column` on; the last vector has `tail` columns. Row i is going to
  // out(i), or nowhere if that is null.
  template <int M, int V, class Out>
  FC_INLINE void apply(Vec<T> (&tile)[M][V], int64_t column, int64_t tail, const Out& out) const {
    constexpr int64_t L = kLanes<T>;
    const auto count = [tail](int v) { return v == V - 1 ? tail : L; };
    normalize(tile, column, tail);
    if (addend.values != nullptr) {
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i) {
        const T* const to = out(i);
        if (to == nullptr) continue;
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) tile[i][v] += load_up_to(addend.at(to) + v * L, count(v));
      }
    }
    activate(tile);
    if (gate.open()) return;
    gate.with([&](const auto& f) {
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i) {
        const T* const to = out(i);
        if (to == nullptr) continue;
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) tile[i][v] = f(tile[i][v], load_up_to(gate.at(to) + v * L, count(v)));
      }
    });
  }

  // The same where results meet nothing in memory.
  template <int M, int V>
  FC_INLINE void apply_columns(Vec<T> (&tile)[M][V], int64_t column, int64_t tail) const {
    normalize(tile, column, tail);
    activate(tile);
  }

  // Asks for what n results at `to` come to meet.
  FC_INLINE void fetch(const T* to, int64_t n) const {
    if (addend.values != nullptr) prefetch_run(addend.at(to), n);
    if (!gate.open()) prefetch_run(gate.at(to), n);
  }
  bool fetches() const { return addend.values != nullptr || !gate.open(); }

  // Addend and gate of n neighbours in memory that have seen neither.
  void finish_gradient(T* data, int64_t n) const {
    addend.finish(data, n);
    gate.finish(data, n);
  }

  // The activations that did not fit registers, over `count` rows of `columns` elements, `step` apart.
  void finish(T* out, int64_t step, int64_t count, int64_t columns) const {
    if (fits_registers(activation)) return;
    if (step == columns) columns *= count, count = 1;  // neighbours in one call
    for (int64_t i = 0; i < count; ++i) apply_activation(activation, out + i * step, columns);
  }

  // The same over rows out[0..count).
  void finish(T* const* out, int64_t count, int64_t column, int64_t columns) const {
    if (fits_registers(activation)) return;
    for (int64_t i = 0, next; i < count; i = next) {
      for (next = i + 1; next < count && out[next] == out[next - 1] + columns;)
        ++next;  // neighbours in one call
      finish(out[i] + column, columns, next - i, columns);
    }
  }

 private:
  template <int M, int V>
  FC_INLINE void normalize(Vec<T> (&tile)[M][V], int64_t column, int64_t tail) const {
    constexpr int64_t L = kLanes<T>;
    const auto count = [tail](int v) { return v == V - 1 ? tail : L; };
    if (bias != nullptr) {
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        const Vec<T> b = load_up_to(bias + column + v * L, count(v));
#pragma GCC unroll 16
        for (int i = 0; i < M; ++i) tile[i][v] += b;
      }
    }
    if (normalization.scale != nullptr) {
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        const int64_t at = column + v * L;
        const Vec<T> mean = load_up_to(normalization.mean + at, count(v));
        const Vec<T> scale = load_up_to(normalization.scale + at, count(v));
        const Vec<T> shift =
            normalization.shift == nullptr ? Vec<T>{} : load_up_to(normalization.shift + at, count(v));
#pragma GCC unroll 16
        for (int i = 0; i < M; ++i) tile[i][v] = fma<T>(tile[i][v] - mean, scale, shift);
      }
    }
  }

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

  template <int M, int V, class F>
  FC_INLINE static void map(Vec<T> (&tile)[M][V], const F& f) {
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) tile[i][v] = f.value(tile[i][v]);
  }
};

}  // namespace fc::cpu::FC_ISA
