// loss_dense.cpp — losses whose targets have the shape of the predictions, and their gradients.
//
// Math       loss[r] = (1/width) Σ_c value(t[r,c], p[r,c])         loss_terms.h; kl_divergence sums
//            loss[r] = −Σ_c t[r,c] log p[r,c]                      loss_classes.h, categorical cross-entropy
//            dprediction[r,c] = dloss[r] · ∂loss[r]/∂p[r,c], exactly the derivative of what forward computes
// Shapes     target, prediction, dprediction (rows,width)   loss, dloss (rows)
// Threads    over blocks of rows; a row has one writer
// Numerics   double inside, in eight interleaved sums per row; one rounding to T at the end
// Workspace  none
// Edges      a NaN among a row's predictions makes its loss NaN
// Source     Keras 3, keras/src/losses/losses.py (formulas and clipping)
#include "cpu/kernels/loss.h"
#include "cpu/kernels/loss_classes.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
void loss_forward(const LossSpec& spec, const T* target, const T* prediction, T* loss,
                  const Context& context) {
  const int64_t width = spec.width;
  const TargetMap map = target_map(spec, target);
  if (spec.kind == LossKind::categorical_crossentropy) {
    for_each_row(spec, context, [&](int64_t row) {
      const T *t = target + row * width, *p = prediction + row * width;
      const auto weight = [&](int64_t i) { return map(t[i]); };
      loss[row] = static_cast<T>(spec.from_logits ? crossentropy_of_logits(p, width, weight)
                                                  : crossentropy(p, width, weight));
    });
    return;
  }
  with_loss_term<T>(spec, [&](const auto& term, double divisor) {
    for_each_row(spec, context, [&](int64_t row) {
      const T *t = target + row * width, *p = prediction + row * width;
      const double total = sum_of(width, [&](int64_t i) { return term.value(map(t[i]), p[i]); });
      loss[row] = static_cast<T>(total / divisor);
    });
  });
}

template <class T>
void loss_backward(const LossSpec& spec, const T* dloss, const T* target, const T* prediction, T* dprediction,
                   const Context& context) {
  const int64_t width = spec.width;
  const TargetMap map = target_map(spec, target);
  if (spec.kind == LossKind::categorical_crossentropy) {
    for_each_row(spec, context, [&](int64_t row) {
      const T *t = target + row * width, *p = prediction + row * width;
      const auto weight = [&](int64_t i) { return map(t[i]); };
      if (spec.from_logits) {
        crossentropy_of_logits_slope(p, width, weight, dloss[row], dprediction + row * width);
      } else {
        crossentropy_slope(p, width, weight, dloss[row], dprediction + row * width);
      }
    });
    return;
  }
  with_loss_term<T>(spec, [&](const auto& term, double divisor) {
    for_each_row(spec, context, [&](int64_t row) {
      const T *t = target + row * width, *p = prediction + row * width;
      T* dp = dprediction + row * width;
      const double scale = dloss[row] / divisor;
      for (int64_t i = 0; i < width; ++i) dp[i] = static_cast<T>(scale * term.slope(map(t[i]), p[i]));
    });
  });
}

}  // namespace

void add_dense_loss(KernelTable& table) {
  FC_ADD(table, loss_forward);
  FC_ADD(table, loss_backward);
}

}  // namespace fc::cpu::FC_ISA
