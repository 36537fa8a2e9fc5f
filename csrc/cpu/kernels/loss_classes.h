// loss_classes.h — cross-entropy over the classes of one row, −Σ t log p, and its derivative by the row's
// predictions.
//
// Logits          p = softmax(z)              d/dz = p·Σt − t
// Probabilities   p = clip(x / Σx), as Keras  d/dx = (Σ_{not clipped} t − t/p where not clipped) / Σx
// All in double. `target(i)` is the weight of class i.
#pragma once

#include "cpu/kernels/loss_terms.h"
#include "cpu/kernels/reduce.h"

namespace fc::cpu::FC_ISA {

// Shifted by the largest logit nothing overflows; a NaN logit is no maximum but makes the sum NaN.
struct LogSoftmax {
  double largest, sum_exp, log_sum;
  double operator()(double z) const { return z - largest - log_sum; }
  double probability(double z) const { return exp(z - largest) / sum_exp; }
};

template <class T>
LogSoftmax log_softmax_of(const T* z, int64_t classes) {
  double largest = z[0];
  for (int64_t i = 1; i < classes; ++i) largest = z[i] > largest ? static_cast<double>(z[i]) : largest;
  const double total = sum_of(classes, [&](int64_t i) { return exp(z[i] - largest); });
  return {largest, total, log(total)};
}

template <class T>
double sum_of_row(const T* x, int64_t n) {
  return sum_of(n, [&](int64_t i) { return static_cast<double>(x[i]); });
}

template <class T, class Target>
double crossentropy_of_logits(const T* z, int64_t classes, const Target& target) {
  const LogSoftmax log_softmax = log_softmax_of(z, classes);
  return -sum_of(classes, [&](int64_t i) { return target(i) * log_softmax(z[i]); });
}

template <class T, class Target>
void crossentropy_of_logits_slope(const T* z, int64_t classes, const Target& target, double dloss, T* dz) {
  const LogSoftmax log_softmax = log_softmax_of(z, classes);
  const double total = sum_of(classes, target);
  for (int64_t i = 0; i < classes; ++i) {
    dz[i] = static_cast<T>(dloss * (log_softmax.probability(z[i]) * total - target(i)));
  }
}

template <class T, class Target>
double crossentropy(const T* x, int64_t classes, const Target& target) {
  const Clip clip = probability_clip<T>();
  const double total = sum_of_row(x, classes);
  return -sum_of(classes, [&](int64_t i) { return target(i) * log(clip(x[i] / total)); });
}

template <class T, class Target>
void crossentropy_slope(const T* x, int64_t classes, const Target& target, double dloss, T* dx) {
  const Clip clip = probability_clip<T>();
  const double total = sum_of_row(x, classes);
  const auto weight = [&](int64_t i) { return clip.changes(x[i] / total) ? 0 : target(i); };
  const double common = sum_of(classes, weight);
  for (int64_t i = 0; i < classes; ++i) {
    const double p = clip(x[i] / total);  // NaN stays NaN, so that a row with one is NaN throughout
    dx[i] = static_cast<T>(dloss * (common - weight(i) / p) / total);
  }
}

}  // namespace fc::cpu::FC_ISA
