// loss_spec.cpp — the rules of losses.
#include "core/loss_spec.h"

#include <cmath>

namespace fc {
namespace {

constexpr const char* kNames[] = {"mean_squared_error",
                                  "mean_absolute_error",
                                  "huber",
                                  "binary_crossentropy",
                                  "categorical_crossentropy",
                                  "sparse_categorical_crossentropy",
                                  "hinge",
                                  "kl_divergence",
                                  "poisson",
                                  "mean_absolute_percentage_error",
                                  "mean_squared_logarithmic_error"};

}  // namespace

LossSpec LossSpec::make(DType dtype, LossKind kind, const Shape& target, const Shape& prediction,
                        bool from_logits, double label_smoothing, double delta) {
  const std::string op = kNames[static_cast<int>(kind)];
  const bool sparse = kind == LossKind::sparse_categorical_crossentropy;
  FC_CHECK(
      prediction.size() >= 1 && prediction.back() >= 1, "[", op,
      "] y_pred must have at least one value per sample: expected y_pred.shape[-1] >= 1, got y_pred.shape=",
      to_text(prediction), ". Give predictions of shape (N, outputs).");
  const Shape leading(prediction.begin(), prediction.end() - 1);
  const Shape& wanted = sparse ? leading : prediction;
  FC_CHECK(
      target == wanted, "[", op, "] y_true and y_pred must fit: expected y_true.shape == ", to_text(wanted),
      ", got ", to_text(target), " (y_pred.shape=", to_text(prediction), "). ",
      sparse ? "Give one integer label per sample." : "Reshape y_true, or one-hot encode integer labels.");
  FC_CHECK(label_smoothing >= 0 && label_smoothing <= 1, "[", op,
           "] label_smoothing must be in [0, 1]: expected 0 <= label_smoothing <= 1, got label_smoothing=",
           label_smoothing, ". 0 means none.");
  FC_CHECK(delta > 0 && std::isfinite(delta), "[", op,
           "] delta must be positive and finite: expected 0 < delta < inf, got delta=", delta,
           ". The default is 1.0.");
  LossSpec s;
  s.dtype = dtype;
  s.kind = kind;
  s.prediction_shape = prediction;
  s.width = prediction.back();
  s.rows = checked_count(op, "y_pred", leading);
  checked_count(op, "y_pred", prediction);
  s.from_logits = from_logits;
  s.label_smoothing = label_smoothing;
  s.delta = delta;
  return s;
}

bool LossSpec::find_shape(std::string_view name, Shape& out) const {
  if (name == "prediction" || name == "target") {
    out = prediction_shape;
  } else if (name == "labels" || name == "loss") {
    out = Shape(prediction_shape.begin(), prediction_shape.end() - 1);
  } else {
    return false;
  }
  return true;
}

std::string LossSpec::text() const {
  return text_of(kNames[static_cast<int>(kind)], "_rows", rows, "width", width, from_logits ? "_logits" : "");
}
double LossSpec::flops(std::string_view) const {
  return 4.0 * static_cast<double>(rows * width);
}

}  // namespace fc
