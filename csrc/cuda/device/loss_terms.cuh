// loss_terms.cuh — losses that treat every output on its own: value(t, p) and its derivative slope(t, p) by
// p.
//
// NaN in gives NaN out: comparisons are written so that NaN falls through to itself. The limits of
// probabilities are those of float32 whatever the storage type: as a float16, 1 - 1e-7 is 1, and log(1 - p)
// would be infinite.
#pragma once

#include "core/loss_spec.h"
#include "cuda/device/storage.cuh"

namespace fc::cuda {

// [low, high] as Keras clips; where that changes p, the slope is 0.
struct Limits {
  float low, high;
  __device__ __forceinline__ float operator()(float p) const { return p < low ? low : p > high ? high : p; }
  __device__ __forceinline__ bool change(float p) const { return p < low || p > high; }
};

__device__ __forceinline__ Limits probabilities() {
  return {static_cast<float>(1e-7), static_cast<float>(1 - 1e-7)};
}
__device__ __forceinline__ Limits divergent_probabilities() {  // of Kullback and Leibler
  return {static_cast<float>(1e-7), 1.0f};
}

inline constexpr float kLossEpsilon = 1e-7f;  // keras.config.epsilon()

__device__ __forceinline__ float at_least_epsilon(float x) {
  return x < kLossEpsilon ? kLossEpsilon : x;
}

// Terms that are asked for seldom: called, so that their code is there once and not in every kernel.
__device__ __noinline__ inline float rare_value(LossKind kind, float t, float p) {
  if (kind == LossKind::poisson) return p - t * logf(p + kLossEpsilon);
  if (kind == LossKind::mean_absolute_percentage_error) {
    return 100.0f * fabsf(p - t) / at_least_epsilon(fabsf(t));
  }
  const float e = log1pf(at_least_epsilon(p)) - log1pf(at_least_epsilon(t));
  return e * e;
}

__device__ __noinline__ inline float rare_slope(LossKind kind, float t, float p) {
  if (kind == LossKind::poisson) return 1 - t / (p + kLossEpsilon);
  if (kind == LossKind::mean_absolute_percentage_error) {
    const float e = p - t;
    return (e > 0 ? 100.0f : e < 0 ? -100.0f : e) / at_least_epsilon(fabsf(t));
  }
  return p < kLossEpsilon ? 0.0f : 2 * (log1pf(p) - log1pf(at_least_epsilon(t))) / (1 + p);
}

struct LossTerm {
  LossKind kind;
  bool from_logits;
  float delta;

  explicit LossTerm(const LossSpec& s)
      : kind(s.kind), from_logits(s.from_logits), delta(static_cast<float>(s.delta)) {}

  __device__ float value(float t, float p) const {
    switch (kind) {
      case LossKind::mean_squared_error:
        return (p - t) * (p - t);
      case LossKind::mean_absolute_error:
        return fabsf(p - t);
      case LossKind::huber: {  // Huber 1964: a parabola that goes on as its tangents beyond delta
        const float e = fabsf(p - t);
        return e <= delta ? 0.5f * e * e : delta * (e - 0.5f * delta);
      }
      case LossKind::hinge: {  // targets are -1 and 1
        const float margin = 1 - t * p;
        return margin < 0 ? 0.0f : margin;
      }
      case LossKind::binary_crossentropy: {
        if (from_logits) return (p < 0 ? 0.0f : p) - p * t + log1pf(expf(-fabsf(p)));
        const float q = probabilities()(p);
        return -(t * logf(q) + (1 - t) * log1pf(-q));
      }
      case LossKind::kl_divergence:
        return divergent_probabilities()(t) *
               logf(divergent_probabilities()(t) / divergent_probabilities()(p));
      case LossKind::poisson:
      case LossKind::mean_absolute_percentage_error:
      case LossKind::mean_squared_logarithmic_error:
        return rare_value(kind, t, p);
      default:
        return 0.0f;  // not a sum of terms per output: loss_classes.cuh
    }
  }

  __device__ float slope(float t, float p) const {
    const float e = p - t;
    switch (kind) {
      case LossKind::mean_squared_error:
        return 2 * e;
      case LossKind::mean_absolute_error:
        return e > 0 ? 1.0f : e < 0 ? -1.0f : e;
      case LossKind::huber:
        return e > delta ? delta : e < -delta ? -delta : e;
      case LossKind::hinge: {  // at the corner the slope is that of the flat side
        const float margin = 1 - t * p;
        return margin > 0 ? -t : margin <= 0 ? 0.0f : margin;
      }
      case LossKind::binary_crossentropy:
        if (from_logits) return 1 / (1 + expf(-p)) - t;
        return probabilities().change(p) ? 0.0f : e / (p * (1 - p));
      case LossKind::kl_divergence:
        return divergent_probabilities().change(p) ? 0.0f : -divergent_probabilities()(t) / p;
      case LossKind::poisson:
      case LossKind::mean_absolute_percentage_error:
      case LossKind::mean_squared_logarithmic_error:
        return rare_slope(kind, t, p);
      default:
        return 0.0f;
    }
  }
};

}  // namespace fc::cuda
