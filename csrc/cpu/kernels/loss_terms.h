// loss_terms.h — losses that treat every output on its own: value(t, p) and its derivative slope(t, p) by p.
//
// All in double. NaN in gives NaN out: comparisons are written so that NaN falls through to itself.
#pragma once

#include <math.h>

#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {

struct SquaredError {
  double value(double t, double p) const { return (p - t) * (p - t); }
  double slope(double t, double p) const { return 2 * (p - t); }
};

struct AbsoluteError {
  double value(double t, double p) const { return fabs(p - t); }
  double slope(double t, double p) const {
    const double e = p - t;
    return e > 0 ? 1 : e < 0 ? -1 : e;
  }
};

// Huber 1964: a parabola that goes on as its tangents beyond delta.
struct Huber {
  double delta;
  double value(double t, double p) const {
    const double e = fabs(p - t);
    return e <= delta ? 0.5 * e * e : delta * (e - 0.5 * delta);
  }
  double slope(double t, double p) const {
    const double e = p - t;
    return e > delta ? delta : e < -delta ? -delta : e;
  }
};

// Targets are -1 and 1. At the corner the slope is that of the flat side.
struct Hinge {
  double value(double t, double p) const {
    const double margin = 1 - t * p;
    return margin < 0 ? 0 : margin;
  }
  double slope(double t, double p) const {
    const double margin = 1 - t * p;
    return margin > 0 ? -t : margin <= 0 ? 0 : margin;
  }
};

// [low, high] as Keras clips; where that changes p, the slope is 0.
struct Clip {
  double low, high;
  double operator()(double p) const { return p < low ? low : p > high ? high : p; }
  bool changes(double p) const { return p < low || p > high; }
};

inline constexpr double kProbabilityEpsilon = 1e-7;  // keras.config.epsilon()

// The limits are rounded to T as in Keras: log(1 - p) of a saturated float32 is -15.94, not -16.12.
template <class T>
Clip probability_clip() {
  return {static_cast<T>(kProbabilityEpsilon), static_cast<T>(1 - kProbabilityEpsilon)};
}

struct BinaryCrossentropy {
  Clip clip;
  double value(double t, double p) const {
    p = clip(p);
    return -(t * log(p) + (1 - t) * log(1 - p));
  }
  double slope(double t, double p) const { return clip.changes(p) ? 0 : (p - t) / (p * (1 - p)); }
};

// max(z, 0) - z t + log(1 + exp(-|z|)): the same with p = sigmoid(z), without overflow or cancellation.
struct BinaryCrossentropyOfLogits {
  double value(double t, double z) const { return (z < 0 ? 0 : z) - z * t + log1p(exp(-fabs(z))); }
  double slope(double t, double z) const { return 1 / (1 + exp(-z)) - t; }
};

// Both distributions are clipped to [1e-7, 1].
template <class T>
struct KlDivergence {
  static constexpr Clip clip = {static_cast<T>(kProbabilityEpsilon), 1};
  double value(double t, double p) const { return clip(t) * log(clip(t) / clip(p)); }
  double slope(double t, double p) const { return clip.changes(p) ? 0 : -clip(t) / p; }
};

// Minus the logarithm of a Poisson distribution with mean p, up to what depends on t alone.
struct Poisson {
  double value(double t, double p) const { return p - t * log(p + kProbabilityEpsilon); }
  double slope(double t, double p) const { return 1 - t / (p + kProbabilityEpsilon); }
};

// In per cent of the target, which counts as 1e-7 at least.
struct AbsolutePercentageError {
  static double per_cent(double t) {
    const double size = fabs(t);
    return 100 / (size < kProbabilityEpsilon ? kProbabilityEpsilon : size);
  }
  double value(double t, double p) const { return AbsoluteError().value(t, p) * per_cent(t); }
  double slope(double t, double p) const { return AbsoluteError().slope(t, p) * per_cent(t); }
};

// Of log(1 + x), where x below 1e-7 counts as that and has no slope.
struct SquaredLogarithmicError {
  static double logarithm(double x) { return log1p(x < kProbabilityEpsilon ? kProbabilityEpsilon : x); }
  double value(double t, double p) const { return SquaredError().value(logarithm(t), logarithm(p)); }
  double slope(double t, double p) const {
    return p < kProbabilityEpsilon ? 0 : SquaredError().slope(logarithm(t), logarithm(p)) / (1 + p);
  }
};

}  // namespace fc::cpu::FC_ISA
