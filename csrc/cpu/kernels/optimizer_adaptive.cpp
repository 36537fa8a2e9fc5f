// optimizer_adaptive.cpp — one update of a weight by its gradient: further rules of Keras 3.
//
// Math       every rule first decays, w = w − w·weight_decay·η, η = learning_rate; t = step, counted from 1
//   adadelta a = ρ·a + (1−ρ)g²      δ = −√(d + ε)·g/√(a + ε)      d = ρ·d + (1−ρ)δ²      w = w + η·δ
//   adamax   m = m + (g − m)(1−β₁)      u = max(β₂·u, |g|)      w = w − η·m/((1−β₁ᵗ)(u + ε))
//   nadam    m, v as adam's      μ(t) = β₁(1 − 0.96ᵗ/2)      P = Π μ(1…t)
//            m̂ = μ(t+1)·m/(1 − P·μ(t+1)) + (1−μ(t))g/(1−P)      w = w − η·m̂/(√(v/(1−β₂ᵗ)) + ε)
//   lion     w = w − η·sign(β₁·m + (1−β₁)g)      m = β₂·m + (1−β₂)g
//   schedule_free  v as adam's      z' = z − η·g/(√(v/(1−β₂ᵗ)) + ε)      x = (w − (1−β₁)z)/β₁
//            x' = x + (z' − x)/t      w = (1−β₁)z' + β₁·x'      z begins as w; here decay is of its own
//   ftrl     a' = a + g²      z = z + g + 2·shrinkage·w − (a'ᵖ − aᵖ)·w/η      a = a'
//            w = (clip(z, −l1, l1) − z)/(a'ᵖ/η + 2·l2)
// Hyper      double[8]:  adadelta {η, ρ, ε, weight_decay}   adamax {η, β₁, β₂, ε, weight_decay, t}
//            nadam {η, β₁, β₂, ε, weight_decay, t, P}   lion {η, β₁, β₂, weight_decay}
//            ftrl {η, p, l1, l2, shrinkage, weight_decay}   schedule_free {η, β₁, β₂, ε, decay, t}
//            hyper[7]: not 0 where the step only gathers gradients, and updates nothing
// Shapes     everything else (n)
// Threads    over blocks of 16384 elements, one writer each; one thread for small n
// Numerics   coefficients in double, rounded once; the update in T, powers but the square root in double.
//            What vanishes becomes 0: optimizer.h
// Workspace  none
// Edges      lion: sign(0) is 0; NaN stays NaN. ftrl: a = l2 = 0 and g = 0 is 0/0, as in Keras
// Source     Zeiler, 2012; Kingma, Ba, 2015, section 7.1; Dozat, 2016; Chen et al., 2023, Lion; McMahan et
//            al., 2013, Ftrl-proximal; Defazio et al., 2024, The road less scheduled; Keras 3,
//            keras/src/optimizers
#include <math.h>

#include "cpu/kernels/optimizer.h"
#include "cpu/kernels/table.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
void adadelta_update(const VectorSpec& spec, const T* gradient, const double* hyper, T* w, T* squares,
                     T* deltas, const Context& context) {
  const Vec<T> rate = constant<T>(hyper[0]), epsilon = constant<T>(hyper[2]);
  const Vec<T> rho = constant<T>(hyper[1]), rest = constant<T>(1 - hyper[1]);
  const Vec<T> decay = constant<T>(hyper[3] * hyper[0]);
  update_vectors(spec, hyper, context, Reads{gradient, w, squares, deltas}, [=](int64_t at, int64_t count) {
    const Vec<T> g = load_up_to(gradient + at, count), weight = load_up_to(w + at, count);
    const Vec<T> d = load_up_to(deltas + at, count);
    const Vec<T> a = settled<T>(rho * load_up_to(squares + at, count) + rest * squared<T>(g));
    const Vec<T> step = square_root<T>(d + epsilon) * g / square_root<T>(a + epsilon);
    store_up_to(squares + at, a, count);
    store_up_to(deltas + at, settled<T>(rho * d + rest * squared<T>(step)), count);
    store_up_to(w + at, weight - weight * decay - rate * step, count);
  });
}

template <class T>
void adamax_update(const VectorSpec& spec, const T* gradient, const double* hyper, T* w, T* m, T* u,
                   const Context& context) {
  const Vec<T> rate = constant<T>(hyper[0]), rest = constant<T>(1 - hyper[1]), beta_2 = constant<T>(hyper[2]);
  const Vec<T> epsilon = constant<T>(hyper[3]), decay = constant<T>(hyper[4] * hyper[0]);
  const Vec<T> bias = constant<T>(1 - pow(hyper[1], hyper[5]));
  update_vectors(spec, hyper, context, Reads{gradient, w, m, u}, [=](int64_t at, int64_t count) {
    const Vec<T> g = load_up_to(gradient + at, count), weight = load_up_to(w + at, count);
    const Vec<T> old = load_up_to(m + at, count), mean = settled<T>(old + (g - old) * rest);
    const Vec<T> faded = settled<T>(beta_2 * load_up_to(u + at, count)), size = magnitude<T>(g);
    const Vec<T> norm = size <= faded || faded != faded ? faded : size;
    store_up_to(m + at, mean, count);
    store_up_to(u + at, norm, count);
    store_up_to(w + at, weight - weight * decay - rate * mean / (bias * (norm + epsilon)), count);
  });
}

template <class T>
void nadam_update(const VectorSpec& spec, const T* gradient, const double* hyper, T* w, T* m, T* v,
                  const Context& context) {
  const double beta_1 = hyper[1], step = hyper[5], product = hyper[6];
  const double now = beta_1 * (1 - 0.5 * pow(0.96, step)), next = beta_1 * (1 - 0.5 * pow(0.96, step + 1));
  const Vec<T> of_m = constant<T>(next / (1 - product * next)), of_g = constant<T>((1 - now) / (1 - product));
  const Vec<T> of_v = constant<T>(1 / (1 - pow(hyper[2], step)));
  const Vec<T> rest_1 = constant<T>(1 - beta_1), rest_2 = constant<T>(1 - hyper[2]);
  const Vec<T> rate = constant<T>(hyper[0]), epsilon = constant<T>(hyper[3]);
  const Vec<T> decay = constant<T>(hyper[4] * hyper[0]);
  update_vectors(spec, hyper, context, Reads{gradient, w, m, v}, [=](int64_t at, int64_t count) {
    const Vec<T> g = load_up_to(gradient + at, count), weight = load_up_to(w + at, count);
    const Vec<T> old_m = load_up_to(m + at, count), old_v = load_up_to(v + at, count);
    const Vec<T> first = settled<T>(old_m + (g - old_m) * rest_1);
    const Vec<T> second = settled<T>(old_v + (squared<T>(g) - old_v) * rest_2);
    store_up_to(m + at, first, count);
    store_up_to(v + at, second, count);
    const Vec<T> update = (of_m * first + of_g * g) * rate / (square_root<T>(second * of_v) + epsilon);
    store_up_to(w + at, weight - weight * decay - update, count);
  });
}

template <class T>
void lion_update(const VectorSpec& spec, const T* gradient, const double* hyper, T* w, T* momentum,
                 const Context& context) {
  const Vec<T> rate = constant<T>(hyper[0]), decay = constant<T>(hyper[3] * hyper[0]);
  const Vec<T> beta_1 = constant<T>(hyper[1]), rest_1 = constant<T>(1 - hyper[1]);
  const Vec<T> beta_2 = constant<T>(hyper[2]), rest_2 = constant<T>(1 - hyper[2]);
  update_vectors(spec, hyper, context, Reads{gradient, w, momentum}, [=](int64_t at, int64_t count) {
    const Vec<T> g = load_up_to(gradient + at, count), weight = load_up_to(w + at, count);
    const Vec<T> m = load_up_to(momentum + at, count), mixed = m * beta_1 + g * rest_1;
    const Vec<T> step = mixed > zero<T>() ? rate : mixed < zero<T>() ? -rate : mixed;
    store_up_to(momentum + at, settled<T>(m * beta_2 + g * rest_2), count);
    store_up_to(w + at, weight - weight * decay - step, count);
  });
}

template <class T>
void schedule_free_update(const VectorSpec& spec, const T* gradient, const double* hyper, T* w, T* momentum,
                          T* velocity, const Context& context) {
  const Vec<T> rate = constant<T>(hyper[0]), epsilon = constant<T>(hyper[3]), decay = constant<T>(hyper[4]);
  const Vec<T> beta_1 = constant<T>(hyper[1]), rest_1 = constant<T>(1 - hyper[1]);
  const Vec<T> rest_2 = constant<T>(1 - hyper[2]), bias = constant<T>(1 - pow(hyper[2], hyper[5]));
  const Vec<T> share = constant<T>(1 / hyper[5]), others = constant<T>(1 - 1 / hyper[5]);
  update_vectors(spec, hyper, context, Reads{gradient, w, momentum, velocity},
                 [=](int64_t at, int64_t count) {
                   const Vec<T> g = load_up_to(gradient + at, count), given = load_up_to(w + at, count);
                   const Vec<T> old = load_up_to(velocity + at, count), z = load_up_to(momentum + at, count);
                   const Vec<T> second = settled<T>(old + (squared<T>(g) - old) * rest_2);
                   const Vec<T> moved = z - rate * g / (square_root<T>(second / bias) + epsilon);
                   const Vec<T> mean = (given - given * decay - rest_1 * z) / beta_1;
                   store_up_to(velocity + at, second, count);
                   store_up_to(momentum + at, moved, count);
                   store_up_to(w + at, rest_1 * moved + beta_1 * (others * mean + share * moved), count);
                 });
}

// x to a power between 0 and 1, the square root nearly always.
template <class T>
FC_INLINE Vec<T> raised(Vec<T> x, double power) {
  if (power == 0.5) return square_root<T>(x);
  for (int64_t i = 0; i < kLanes<T>; ++i) x[i] = static_cast<T>(pow(static_cast<double>(x[i]), power));
  return x;
}

template <class T>
void ftrl_update(const VectorSpec& spec, const T* gradient, const double* hyper, T* w, T* accumulator,
                 T* linear, const Context& context) {
  const double power = hyper[1];
  const T l1 = static_cast<T>(hyper[2]);
  const Vec<T> rate = constant<T>(hyper[0]), l2 = constant<T>(2 * hyper[3]),
               shrinkage = constant<T>(2 * hyper[4]);
  const Vec<T> decay = constant<T>(hyper[5] * hyper[0]);
  update_vectors(spec, hyper, context, Reads{gradient, w, accumulator, linear},
                 [=](int64_t at, int64_t count) {
                   const Vec<T> g = load_up_to(gradient + at, count), given = load_up_to(w + at, count);
                   const Vec<T> weight = given - given * decay, old = load_up_to(accumulator + at, count);
                   const Vec<T> total = old + squared<T>(g), root = raised<T>(total, power);
                   const Vec<T> z = load_up_to(linear + at, count) +
                                    (g + shrinkage * weight - (root - raised<T>(old, power)) / rate * weight);
                   store_up_to(accumulator + at, total, count);
                   store_up_to(linear + at, z, count);
                   store_up_to(w + at, (clamp<T>(z, -l1, l1) - z) / (root / rate + l2), count);
                 });
}

}  // namespace

void add_optimizer_adaptive(KernelTable& table) {
  FC_ADD(table, adadelta_update);
  FC_ADD(table, adamax_update);
  FC_ADD(table, nadam_update);
  FC_ADD(table, lion_update);
  FC_ADD(table, ftrl_update);
  FC_ADD(table, schedule_free_update);
}

}  // namespace fc::cpu::FC_ISA
