// loss.h — what the loss kernels share: how targets are read, and which formula a spec means.
#pragma once

#include "core/loss_spec.h"
#include "cpu/kernels/loss_terms.h"
#include "cpu/kernels/table.h"
#include "cpu/kernels/work.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {

void add_dense_loss(KernelTable& table);
void add_sparse_loss(KernelTable& table);

// Targets go through one linear map: label smoothing, or {0, 1} to {-1, 1}.
struct TargetMap {
  double scale, shift;
  double operator()(double t) const { return t * scale + shift; }
};

// Keras's rule for hinge: if the whole tensor holds nothing but 0 and 1, these mean -1 and 1.
template <class T>
bool all_zero_or_one(const T* target, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    if (target[i] != 0 && target[i] != 1) return false;
  }
  return true;
}

template <class T>
TargetMap target_map(const LossSpec& spec, const T* target) {
  const double smoothing = spec.label_smoothing;
  switch (spec.kind) {
    case LossKind::binary_crossentropy:
      return {1 - smoothing, smoothing / 2};
    case LossKind::categorical_crossentropy:
      return {1 - smoothing, smoothing / static_cast<double>(spec.width)};
    case LossKind::hinge:
      return all_zero_or_one(target, spec.rows * spec.width) ? TargetMap{2, -1} : TargetMap{1, 0};
    default:
      return {1, 0};
  }
}

// Calls f(term, divisor) with the spec's term; a row's loss is the sum of its terms over the divisor.
template <class T, class F>
void with_loss_term(const LossSpec& spec, const F& f) {
  const double width = static_cast<double>(spec.width);
  switch (spec.kind) {
    case LossKind::mean_squared_error:
      return f(SquaredError{}, width);
    case LossKind::mean_absolute_error:
      return f(AbsoluteError{}, width);
    case LossKind::huber:
      return f(Huber{spec.delta}, width);
    case LossKind::hinge:
      return f(Hinge{}, width);
    case LossKind::binary_crossentropy:
      return spec.from_logits ? f(BinaryCrossentropyOfLogits{}, width)
                              : f(BinaryCrossentropy{probability_clip<T>()}, width);
    case LossKind::kl_divergence:
      return f(KlDivergence<T>{}, 1.0);
    case LossKind::poisson:
      return f(Poisson{}, width);
    case LossKind::mean_absolute_percentage_error:
      return f(AbsolutePercentageError{}, width);
    case LossKind::mean_squared_logarithmic_error:
      return f(SquaredLogarithmicError{}, width);
    case LossKind::categorical_crossentropy:
    case LossKind::sparse_categorical_crossentropy:
      return;  // not a sum of terms per output: loss_classes.h
  }
}

// Calls f(row) for every row; blocks of rows go to threads.
template <class F>
void for_each_row(const LossSpec& spec, const Context& context, const F& f) {
  constexpr double kNs = 1;  // per element
  const Crew threads = threads_for(spec.rows * spec.width, context.threads, kNs);
  parallel_blocks(threads, spec.rows, rows_per_block(spec.width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) f(row);
  });
}

}  // namespace fc::cpu::FC_ISA
