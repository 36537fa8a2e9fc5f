// optimizer.cpp — one update of a weight by its gradient, and of the optimizer's state: Keras 3's rules.
//
// Math       every rule first decays, w = w − w·weight_decay·η (Loshchilov, Hutter, 2019), η = learning_rate
//   sgd      v = μ·v − η·g      w = w + v, with Nesterov's look-ahead w + μ·v − η·g
//            no velocity: w = w − η·g
//   adam     m = m + (g − m)(1−β₁)      v = v + (g² − v)(1−β₂)      w = w − α·m/(√v + ε)
//            α = η·√(1−β₂ᵗ)/(1−β₁ᵗ), t = step, counted from 1; amsgrad: v̂ = max(v̂, v) in the place of v
//   rmsprop  v = ρ·v + (1−ρ)g²      centered: a = ρ·a + (1−ρ)g, d = v − a² + ε, else d = v + ε
//            u = η·g/√d      with momentum: u = b = μ·b + u      w = w − u
//   adagrad  s = s + g²      w = w − η·g/√(s + ε)
//            and without that decay
//   torch_sgd  d = g + weight_decay·w      v = μ·v + d      w = w − η·v, Nesterov's: w − η·(d + μ·v)
//   average  a = μ·a + (1−μ)·w, then w = a where it overwrites
// Hyper      double[8]:  sgd, torch_sgd {η, μ, nesterov, weight_decay}   adam {η, β₁, β₂, ε, weight_decay,
//            step}
//            rmsprop {η, ρ, μ, ε, centered, weight_decay}     adagrad {η, ε, weight_decay}
//            average {μ, overwrites}
//            hyper[7] of all but average: not 0 where the step only gathers gradients, and updates nothing
// Shapes     everything else (n)
// Threads    over blocks of 16384 elements, one writer each; one thread for small n
// Numerics   coefficients in double, rounded once; the update in T, with IEEE's square root and division:
//            they take less time than the memory. Body and tail run the same vector arithmetic.
//            What vanishes becomes 0: optimizer.h
// Workspace  none
// Edges      average with μ = 1 that does not overwrite reads and writes nothing: most steps of Lookahead
// Source     Kingma, Ba, 2015; Reddi et al., 2018, amsgrad; Tieleman, Hinton, 2012; Duchi, Hazan, Singer,
//            2011; Keras 3, keras/src/optimizers; torch.optim.SGD's documentation; Zhang et al., 2019,
//            Lookahead
#include "cpu/kernels/optimizer.h"

#include <math.h>

#include "cpu/kernels/table.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
void sgd_update(const VectorSpec& spec, const T* gradient, const double* hyper, T* w, T* velocity,
                const Context& context) {
  const Vec<T> rate = constant<T>(hyper[0]), momentum = constant<T>(hyper[1]);
  const Vec<T> decay = constant<T>(hyper[3] * hyper[0]);
  const bool nesterov = hyper[2] != 0;
  if (velocity == nullptr) {
    return update_vectors(spec, hyper, context, Reads{gradient, w}, [=](int64_t at, int64_t count) {
      const Vec<T> weight = load_up_to(w + at, count);
      store_up_to(w + at, weight - weight * decay - rate * load_up_to(gradient + at, count), count);
    });
  }
  update_vectors(spec, hyper, context, Reads{gradient, w, velocity}, [=](int64_t at, int64_t count) {
    const Vec<T> weight = load_up_to(w + at, count), step = rate * load_up_to(gradient + at, count);
    const Vec<T> moved = settled<T>(momentum * load_up_to(velocity + at, count) - step);
    store_up_to(velocity + at, moved, count);
    store_up_to(w + at, weight - weight * decay + (nesterov ? momentum * moved - step : moved), count);
  });
}

template <class T>
void torch_sgd_update(const VectorSpec& spec, const T* gradient, const double* hyper, T* w, T* velocity,
                      const Context& context) {
  const Vec<T> rate = constant<T>(hyper[0]), momentum = constant<T>(hyper[1]), decay = constant<T>(hyper[3]);
  const bool nesterov = hyper[2] != 0;
  update_vectors(spec, hyper, context, Reads{gradient, w, velocity}, [=](int64_t at, int64_t count) {
    const Vec<T> weight = load_up_to(w + at, count), d = load_up_to(gradient + at, count) + decay * weight;
    const Vec<T> moved = settled<T>(momentum * load_up_to(velocity + at, count) + d);
    store_up_to(velocity + at, moved, count);
    store_up_to(w + at, weight - rate * (nesterov ? d + momentum * moved : moved), count);
  });
}

// v_hat as the kernel has it, for amsgrad; null otherwise.
template <bool amsgrad, class T>
void adam(const VectorSpec& spec, const T* gradient, const double* hyper, T* w, T* m, T* v, T* v_hat,
          const Context& context) {
  const double beta_1 = hyper[1], beta_2 = hyper[2], step = hyper[5];
  const Vec<T> alpha = constant<T>(hyper[0] * sqrt(1 - pow(beta_2, step)) / (1 - pow(beta_1, step)));
  const Vec<T> rest_1 = constant<T>(1 - beta_1), rest_2 = constant<T>(1 - beta_2);
  const Vec<T> epsilon = constant<T>(hyper[3]), decay = constant<T>(hyper[4] * hyper[0]);
  update_vectors(spec, hyper, context, Reads{gradient, w, m, v}, [=](int64_t at, int64_t count) {
    const Vec<T> g = load_up_to(gradient + at, count), weight = load_up_to(w + at, count);
    const Vec<T> old_m = load_up_to(m + at, count), old_v = load_up_to(v + at, count);
    const Vec<T> first = settled<T>(old_m + (g - old_m) * rest_1);
    const Vec<T> second = settled<T>(old_v + (squared<T>(g) - old_v) * rest_2);
    store_up_to(m + at, first, count);
    store_up_to(v + at, second, count);
    Vec<T> largest = second;
    if constexpr (amsgrad) {
      largest = max_or_second<T>(load_up_to(v_hat + at, count), second);
      store_up_to(v_hat + at, largest, count);
    }
    const Vec<T> update = alpha * first / (square_root<T>(largest) + epsilon);
    store_up_to(w + at, weight - weight * decay - update, count);
  });
}

template <class T>
void adam_update(const VectorSpec& spec, const T* gradient, const double* hyper, T* w, T* m, T* v, T* v_hat,
                 const Context& context) {
  const auto update = v_hat == nullptr ? adam<false, T> : adam<true, T>;
  update(spec, gradient, hyper, w, m, v, v_hat, context);
}

// velocity, momentum and average as the kernel has them; the last two may be null.
template <bool centered, bool with_momentum, class T>
void rmsprop(const VectorSpec& spec, const T* gradient, const double* hyper, T* w, T* velocity, T* momentum,
             T* average, const Context& context) {
  const Vec<T> rate = constant<T>(hyper[0]), friction = constant<T>(hyper[2]),
               epsilon = constant<T>(hyper[3]);
  const Vec<T> rho = constant<T>(hyper[1]), rest = constant<T>(1 - hyper[1]);
  const Vec<T> decay = constant<T>(hyper[5] * hyper[0]);
  update_vectors(spec, hyper, context, Reads{gradient, w, velocity}, [=](int64_t at, int64_t count) {
    const Vec<T> g = load_up_to(gradient + at, count), weight = load_up_to(w + at, count);
    Vec<T> spread = settled<T>(rho * load_up_to(velocity + at, count) + rest * squared<T>(g));
    store_up_to(velocity + at, spread, count);
    if constexpr (centered) {
      const Vec<T> mean = settled<T>(rho * load_up_to(average + at, count) + rest * g);
      store_up_to(average + at, mean, count);
      spread -= mean * mean;
    }
    Vec<T> update = rate * g / square_root<T>(spread + epsilon);
    if constexpr (with_momentum) {
      update = settled<T>(update + friction * load_up_to(momentum + at, count));
      store_up_to(momentum + at, update, count);
    }
    store_up_to(w + at, weight - weight * decay - update, count);
  });
}

template <class T>
void rmsprop_update(const VectorSpec& spec, const T* gradient, const double* hyper, T* w, T* velocity,
                    T* momentum, T* average_gradient, const Context& context) {
  const bool with_momentum = hyper[2] > 0, centered = hyper[4] != 0;
  const auto update = centered ? (with_momentum ? rmsprop<true, true, T> : rmsprop<true, false, T>)
                               : (with_momentum ? rmsprop<false, true, T> : rmsprop<false, false, T>);
  update(spec, gradient, hyper, w, velocity, momentum, average_gradient, context);
}

template <class T>
void adagrad_update(const VectorSpec& spec, const T* gradient, const double* hyper, T* w, T* accumulator,
                    const Context& context) {
  const Vec<T> rate = constant<T>(hyper[0]), epsilon = constant<T>(hyper[1]);
  const Vec<T> decay = constant<T>(hyper[2] * hyper[0]);
  update_vectors(spec, hyper, context, Reads{gradient, w, accumulator}, [=](int64_t at, int64_t count) {
    const Vec<T> g = load_up_to(gradient + at, count), weight = load_up_to(w + at, count);
    const Vec<T> total = load_up_to(accumulator + at, count) + squared<T>(g);
    store_up_to(accumulator + at, total, count);
    store_up_to(w + at, weight - weight * decay - rate * g / square_root<T>(total + epsilon), count);
  });
}

template <class T>
void average_update(const VectorSpec& spec, const double* hyper, T* w, T* average, const Context& context) {
  const bool overwrites = hyper[1] != 0;
  if (hyper[0] == 1 && !overwrites) return;
  const Vec<T> momentum = constant<T>(hyper[0]), rest = constant<T>(1 - hyper[0]);
  for_vectors(spec, context, Reads{w, average}, [=](int64_t at, int64_t count) {
    const Vec<T> mean =
        settled<T>(momentum * load_up_to(average + at, count) + rest * load_up_to(w + at, count));
    store_up_to(average + at, mean, count);
    if (overwrites) store_up_to(w + at, mean, count);
  });
}

}  // namespace

void add_optimizer(KernelTable& table) {
  FC_ADD(table, sgd_update);
  FC_ADD(table, torch_sgd_update);
  FC_ADD(table, adam_update);
  FC_ADD(table, rmsprop_update);
  FC_ADD(table, adagrad_update);
  FC_ADD(table, average_update);
}

}  // namespace fc::cpu::FC_ISA
