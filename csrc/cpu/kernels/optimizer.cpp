// optimizer.cpp — one update of a weight by its gradient, and of the optimizer's state: Keras 3's rules.
//
// Math       every rule first decays, w = w − w·weight_decay·η (Loshchilov, Hutter, 2019), η = learning_rate
//   sgd      v = μ·v − η·g      w = w + v, with Nesterov's look-ahead w + μ·v − η·g      no velocity: w = w −
//   η·g adam     m = m + (g − m)(1−β₁)      v = v + (g² − v)(1−β₂)      w = w − α·m/(√v + ε)
//            α = η·√(1−β₂ᵗ)/(1−β₁ᵗ), t = step, counted from 1
//   rmsprop  v = ρ·v + (1−ρ)g²      centered: a = ρ·a + (1−ρ)g, d = v − a² + ε, else d = v + ε
//            u = η·g/√d      with momentum: u = b = μ·b + u      w = w − u
//   adagrad  s = s + g²      w = w − η·g/√(s + ε)
// Hyper      double[8]:  sgd {η, μ, nesterov, weight_decay}   adam {η, β₁, β₂, ε, weight_decay, step}
//            rmsprop {η, ρ, μ, ε, centered, weight_decay}     adagrad {η, ε, weight_decay}
// Shapes     everything else (n)
// Threads    over blocks of 16384 elements, one writer each; one thread for small n
// Numerics   coefficients in double, rounded once; the update in T. Plain loops: the compiler turns them into
// vectors,
//            and without contraction body and tail round alike.
// Workspace  none
// Source     Kingma, Ba, 2015; Tieleman, Hinton, 2012; Duchi, Hazan, Singer, 2011; Keras 3,
// keras/src/optimizers
#include <math.h>

#include "core/elementwise_spec.h"
#include "cpu/kernels/table.h"
#include "cpu/kernels/work.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {
namespace {

float square_root(float x) {
  return sqrtf(x);
}
double square_root(double x) {
  return sqrt(x);
}

// Calls f(begin, end) for blocks of elements.
template <class F>
void for_blocks(const VectorSpec& spec, const Context& context, const F& f) {
  parallel_blocks(threads_for(spec.n, context.threads), spec.n, kBlockElements, f);
}

template <class T>
void sgd_update(const VectorSpec& spec, const T* gradient, const double* hyper, T* w, T* velocity,
                const Context& context) {
  const T rate = static_cast<T>(hyper[0]), momentum = static_cast<T>(hyper[1]);
  const T decay = static_cast<T>(hyper[3] * hyper[0]);
  const bool nesterov = hyper[2] != 0;
  for_blocks(spec, context, [=](int64_t begin, int64_t end) {
    if (!velocity) {
      for (int64_t i = begin; i < end; ++i) w[i] = w[i] - w[i] * decay - rate * gradient[i];
      return;
    }
    for (int64_t i = begin; i < end; ++i) {
      const T step = rate * gradient[i];
      const T moved = momentum * velocity[i] - step;
      velocity[i] = moved;
      w[i] = w[i] - w[i] * decay + (nesterov ? momentum * moved - step : moved);
    }
  });
}

template <class T>
void adam_update(const VectorSpec& spec, const T* gradient, const double* hyper, T* w, T* m, T* v,
                 const Context& context) {
  const double beta_1 = hyper[1], beta_2 = hyper[2], step = hyper[5];
  const T alpha = static_cast<T>(hyper[0] * sqrt(1 - pow(beta_2, step)) / (1 - pow(beta_1, step)));
  const T rest_1 = static_cast<T>(1 - beta_1), rest_2 = static_cast<T>(1 - beta_2);
  const T epsilon = static_cast<T>(hyper[3]), decay = static_cast<T>(hyper[4] * hyper[0]);
  for_blocks(spec, context, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T g = gradient[i];
      m[i] += (g - m[i]) * rest_1;
      v[i] += (g * g - v[i]) * rest_2;
      w[i] = w[i] - w[i] * decay - alpha * m[i] / (square_root(v[i]) + epsilon);
    }
  });
}

// `centered` and `with_momentum` are known when the loop is compiled, so that a plain run touches two tensors
// only.
template <bool centered, bool with_momentum, class T>
void rmsprop_block(int64_t begin, int64_t end, const double* hyper, const T* gradient, T* w, T* velocity,
                   T* momentum, T* average) {
  const T rate = static_cast<T>(hyper[0]), friction = static_cast<T>(hyper[2]),
          epsilon = static_cast<T>(hyper[3]);
  const T rho = static_cast<T>(hyper[1]), rest = static_cast<T>(1 - hyper[1]);
  const T decay = static_cast<T>(hyper[5] * hyper[0]);
  for (int64_t i = begin; i < end; ++i) {
    const T g = gradient[i];
    velocity[i] = rho * velocity[i] + rest * (g * g);
    T spread = velocity[i];
    if constexpr (centered) {
      average[i] = rho * average[i] + rest * g;
      spread -= average[i] * average[i];
    }
    T update = rate * g / square_root(spread + epsilon);
    if constexpr (with_momentum) {
      update += friction * momentum[i];
      momentum[i] = update;
    }
    w[i] = w[i] - w[i] * decay - update;
  }
}

template <class T>
void rmsprop_update(const VectorSpec& spec, const T* gradient, const double* hyper, T* w, T* velocity,
                    T* momentum, T* average_gradient, const Context& context) {
  const bool with_momentum = hyper[2] > 0, centered = hyper[4] != 0;
  const auto block = centered
                         ? (with_momentum ? rmsprop_block<true, true, T> : rmsprop_block<true, false, T>)
                         : (with_momentum ? rmsprop_block<false, true, T> : rmsprop_block<false, false, T>);
  for_blocks(spec, context, [=](int64_t begin, int64_t end) {
    block(begin, end, hyper, gradient, w, velocity, momentum, average_gradient);
  });
}

template <class T>
void adagrad_update(const VectorSpec& spec, const T* gradient, const double* hyper, T* w, T* accumulator,
                    const Context& context) {
  const T rate = static_cast<T>(hyper[0]), epsilon = static_cast<T>(hyper[1]);
  const T decay = static_cast<T>(hyper[2] * hyper[0]);
  for_blocks(spec, context, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T g = gradient[i];
      accumulator[i] += g * g;
      w[i] = w[i] - w[i] * decay - rate * g / square_root(accumulator[i] + epsilon);
    }
  });
}

}  // namespace

void add_optimizer(KernelTable& table) {
  FC_ADD(table, sgd_update);
  FC_ADD(table, adam_update);
  FC_ADD(table, rmsprop_update);
  FC_ADD(table, adagrad_update);
}

}  // namespace fc::cpu::FC_ISA
