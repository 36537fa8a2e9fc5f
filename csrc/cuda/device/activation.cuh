// activation.cuh — every activation and its gradient, chosen by a branch that all threads take alike.
//
// NaN passes through every value: comparisons are written so that a NaN takes the branch that returns it.
// Gradients that are zero by definition are chosen, not multiplied: an infinite dy meets no 0 * dy.
// Numerics   the device's exp, tanh, erf, log1p of the arithmetic type (1 to 2 ulp)
#pragma once

#include "core/activation.h"
#include "cuda/device/storage.cuh"

namespace fc::cuda {

// An activation with its parameters in the type that a kernel computes in.
struct Activated {
  ActivationKind kind;
  float alpha, beta;

  explicit Activated(const Activation& a)
      : kind(a.kind), alpha(static_cast<float>(a.alpha)), beta(static_cast<float>(a.beta)) {}
};

// 1 / (1 + expf(-x)) without overflow, and the same at -x.
struct Logistic {
  float at_x, at_minus_x;
  __device__ explicit Logistic(float x) {
    const float e = expf(x < 0 ? x : -x), large = 1.0f / (1.0f + e), small = e / (1.0f + e);
    at_x = x < 0 ? small : large;
    at_minus_x = x < 0 ? large : small;
  }
};

// What mish multiplies x by, tanh(softplus(x)) = n / (n + 2) with n = e^x (e^x + 2), and 1 minus it.
struct MishGate {
  float t, one_minus_t;
  __device__ explicit MishGate(float x) {
    const float u = expf(x < 0 ? x : -x);
    const float upper = x < 0 ? u * (u + 2.0f) : 1.0f + 2.0f * u, rest = x < 0 ? 2.0f : 2.0f * u * u;
    t = upper / (upper + rest);
    one_minus_t = rest / (upper + rest);
  }
};

// With s = sqrt(x^2 + b), found without overflow: (x + s) / 2, which for x < 0 is b / (2 (s - x)).
struct Squareplus {
  float root, value;
  __device__ Squareplus(float x, float b) {
    const float m = fabsf(x), root_b = sqrtf(b), large = m > root_b ? m : root_b;
    const float q = (m > root_b ? root_b : m) / large;
    root = large * sqrtf(1.0f + q * q);
    value = x < 0 ? 0.5f * b / (root - x) : 0.5f * (x + root);
  }
};

__device__ __forceinline__ float clamp_number(float x, float low, float high) {
  return x < low ? low : x > high ? high : x;
}

inline constexpr float kSeluAlpha = 1.67326324235437728481f;  // the fixed point of Klambauer et al. 2017
inline constexpr float kSeluScale = 1.05070098735548049342f;
inline constexpr float kGeluScale = 1.59576912160573071176f;  // 2 sqrt(2 / pi)
inline constexpr float kGeluCube = 0.044715f;
inline constexpr float kSqrtHalf = 0.70710678118654752440f;
inline constexpr float kNormalPeak = 0.39894228040143267794f;  // 1 / sqrt(2 pi)

__device__ __forceinline__ float gelu_tanh_inner(float x) {
  return kGeluScale * (x + kGeluCube * x * x * x);
}

// erfc keeps its accuracy far below zero, where 1 + erf cancels.
__device__ __forceinline__ float normal_cdf(float x) {
  return 0.5f * erfcf(-x * kSqrtHalf);
}

__device__ inline float activate(const Activated& f, float x) {
  switch (f.kind) {
    case ActivationKind::linear:
      return f.alpha * x + f.beta;
    case ActivationKind::relu:
      return x < 0 ? 0.0f : x;
    case ActivationKind::relu6:
      return clamp_number(x, 0.0f, 6.0f);
    case ActivationKind::leaky_relu:
      return x > 0 ? x : f.alpha * x;
    case ActivationKind::elu:
      return x > 0 ? x : f.alpha * expm1f(x);
    case ActivationKind::selu:
      return kSeluScale * (x > 0 ? x : kSeluAlpha * expm1f(x));
    case ActivationKind::gelu:
      return x * normal_cdf(x);
    case ActivationKind::gelu_tanh:
      return x * Logistic(gelu_tanh_inner(x)).at_x;
    case ActivationKind::silu:
      return x * Logistic(x).at_x;
    case ActivationKind::hard_sigmoid:
      return clamp_number(x + 3.0f, 0.0f, 6.0f) / 6.0f;
    case ActivationKind::hard_swish:
      return x * (clamp_number(x + 3.0f, 0.0f, 6.0f) / 6.0f);
    case ActivationKind::sigmoid:
      return Logistic(x).at_x;
    case ActivationKind::tanh:
      return tanhf(x);
    case ActivationKind::softplus:
      return (x < 0 ? 0.0f : x) + log1pf(expf(x < 0 ? x : -x));
    case ActivationKind::threshold:
      return x == x ? (x > f.alpha ? 1.0f : 0.0f) : x;
    case ActivationKind::clip:
      return clamp_number(x, f.alpha, f.beta);
    case ActivationKind::exponential:
      return expf(x);
    case ActivationKind::mish:
      return x * MishGate(x).t;
    case ActivationKind::softsign:
      return x / (1.0f + fabsf(x));
    case ActivationKind::squareplus:
      return Squareplus(x, f.alpha).value;
    case ActivationKind::shrink:
      return x > f.alpha ? x - f.beta : x < -f.alpha ? x + f.beta : x == x ? 0.0f : x;
    case ActivationKind::sparse_plus:
      return x <= -1.0f ? 0.0f : x < 1.0f ? 0.25f * (x + 1.0f) * (x + 1.0f) : x;
  }
  return x;
}

// dy * f'(x)
__device__ inline float activation_gradient(const Activated& f, float dy, float x) {
  switch (f.kind) {
    case ActivationKind::linear:
      return dy * f.alpha;
    case ActivationKind::relu:
      return x > 0 ? dy : 0.0f;
    case ActivationKind::relu6:
      return x > 0 && x < 6.0f ? dy : 0.0f;
    case ActivationKind::leaky_relu:
      return x > 0 ? dy : f.alpha * dy;
    case ActivationKind::elu:
      return dy * (x > 0 ? 1.0f : f.alpha * expf(x));
    case ActivationKind::selu:
      return dy * kSeluScale * (x > 0 ? 1.0f : kSeluAlpha * expf(x));
    case ActivationKind::gelu: {
      const float near = clamp_number(x, -16.0f, 16.0f);  // beyond, the density is 0
      return dy * (normal_cdf(x) + near * kNormalPeak * expf(-0.5f * near * near));
    }
    case ActivationKind::gelu_tanh: {
      const float near =
          clamp_number(x, -32.0f, 32.0f);  // beyond, the logistic is 0 or 1 and x^3 might overflow
      const Logistic s(gelu_tanh_inner(near));
      const float du = kGeluScale * (1.0f + 3 * kGeluCube * near * near);
      return dy * s.at_x * (1.0f + near * du * s.at_minus_x);
    }
    case ActivationKind::silu: {
      const Logistic s(x);
      return dy * s.at_x * (1.0f + x * s.at_minus_x);
    }
    case ActivationKind::hard_sigmoid:
      return x > -3.0f && x < 3.0f ? dy / 6.0f : 0.0f;
    case ActivationKind::hard_swish:
      return x <= -3.0f ? 0.0f : x >= 3.0f ? dy : dy * (x * (1.0f / 3.0f) + 0.5f);
    case ActivationKind::sigmoid: {
      const Logistic s(x);
      return dy * s.at_x * s.at_minus_x;
    }
    case ActivationKind::tanh: {  // 4 s(2x) s(-2x): 1 - tanh^2 would cancel far out
      const Logistic s(x + x);
      return dy * 4.0f * s.at_x * s.at_minus_x;
    }
    case ActivationKind::softplus:
      return dy * Logistic(x).at_x;
    case ActivationKind::threshold:
      return 0.0f;
    case ActivationKind::clip:
      return x > f.alpha && x < f.beta ? dy : 0.0f;
    case ActivationKind::exponential:
      return dy * expf(x);
    case ActivationKind::mish: {
      const MishGate g(x);
      return dy * (g.t + x * Logistic(x).at_x * g.one_minus_t * (1.0f + g.t));
    }
    case ActivationKind::softsign:
      return dy / (1.0f + fabsf(x)) / (1.0f + fabsf(x));
    case ActivationKind::squareplus: {
      const Squareplus s(x, f.alpha);
      return dy * (s.value / s.root);
    }
    case ActivationKind::shrink:
      return fabsf(x) > f.alpha ? dy : 0.0f;
    case ActivationKind::sparse_plus:
      return x <= -1.0f ? 0.0f : x < 1.0f ? dy * (0.5f * x + 0.5f) : dy;
  }
  return dy;
}

// dy * f'(x) where only y = f(x) is at hand; ops ask for no other kinds.
__device__ inline float activation_gradient_from_output(const Activated& f, float dy, float y) {
  switch (f.kind) {
    case ActivationKind::elu:  // alpha > 0 keeps the sign
      return dy * (y > 0 ? 1.0f : f.alpha + y);
    case ActivationKind::selu:
      return dy * (y > 0 ? kSeluScale : kSeluScale * kSeluAlpha + y);
    case ActivationKind::hard_sigmoid:
      return y > 0 && y < 1.0f ? dy / 6.0f : 0.0f;
    case ActivationKind::sigmoid:
      return dy * y * (1.0f - y);
    case ActivationKind::tanh:
      return dy * (1.0f - y) * (1.0f + y);
    case ActivationKind::softplus:
      return -dy * expm1f(-y);
    case ActivationKind::exponential:
      return dy * y;
    default:  // linear, relu, relu6, leaky_relu, clip: y lies where x does
      return activation_gradient(f, dy, y);
  }
}

}  // namespace fc::cuda
