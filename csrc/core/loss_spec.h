// loss_spec.h — a loss per row of predictions.
#pragma once

#include "core/spec.h"

namespace fc {

enum class LossKind : uint8_t {
  mean_squared_error,
  mean_absolute_error,
  huber,  // delta
  binary_crossentropy,
  categorical_crossentropy,
  sparse_categorical_crossentropy,
  hinge,
  kl_divergence,
  poisson,
  mean_absolute_percentage_error,
  mean_squared_logarithmic_error,
};

// Tensors: prediction and target (..., width), labels (...) as i64, loss (...): one value per row, where a
// row's loss is the mean over its width (sums for the cross-entropies over classes and kl_divergence, as in
// Keras).
struct LossSpec final : Spec {
  LossKind kind;
  Shape prediction_shape;
  int64_t rows, width;
  bool from_logits;
  double label_smoothing;
  double delta;

  static LossSpec make(DType dtype, LossKind kind, const Shape& target, const Shape& prediction,
                       bool from_logits, double label_smoothing, double delta);

  std::string text() const override;
  double flops(std::string_view kernel) const override;

 private:
  bool find_shape(std::string_view name, Shape& out) const override;
};

}  // namespace fc
