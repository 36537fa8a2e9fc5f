// activation.h — every activation as a function object: value(x), gradient(dy, x) and, where the output alone
// tells the derivative, gradient_from_output(dy, y). One dispatch from ActivationKind serves all kernels and
// fused epilogues.
//
// NaN passes through every value(): comparisons are written so that a NaN takes the branch that returns it.
// Gradients that are zero by definition are chosen, not multiplied: an infinite dy meets no 0 * dy.
#pragma once

#include "core/activation.h"
#include "cpu/simd/math.h"
#include "cpu/simd/normal.h"

namespace fc::cpu::FC_ISA {

template <class T>
struct Linear {
  Vec<T> scale, offset;
  Vec<T> value(Vec<T> x) const { return fma<T>(scale, x, offset); }
  Vec<T> gradient(Vec<T> dy, Vec<T>) const { return dy * scale; }
  Vec<T> gradient_from_output(Vec<T> dy, Vec<T>) const { return dy * scale; }
};

template <class T>
struct Relu {
  Vec<T> value(Vec<T> x) const { return max_or_second<T>(zero<T>(), x); }
  Vec<T> gradient(Vec<T> dy, Vec<T> x) const { return x > zero<T>() ? dy : zero<T>(); }
  Vec<T> gradient_from_output(Vec<T> dy, Vec<T> y) const { return gradient(dy, y); }
};

template <class T>
struct Relu6 {
  Vec<T> value(Vec<T> x) const { return clamp<T>(x, T(0), T(6)); }
  Vec<T> gradient(Vec<T> dy, Vec<T> x) const {
    const Vec<T> below = x < broadcast(T(6)) ? dy : zero<T>();
    return x > zero<T>() ? below : zero<T>();
  }
  Vec<T> gradient_from_output(Vec<T> dy, Vec<T> y) const { return gradient(dy, y); }
};

template <class T>
struct LeakyRelu {
  Vec<T> slope;
  Vec<T> value(Vec<T> x) const { return x > zero<T>() ? x : slope * x; }
  Vec<T> gradient(Vec<T> dy, Vec<T> x) const { return x > zero<T>() ? dy : slope * dy; }
  Vec<T> gradient_from_output(Vec<T> dy, Vec<T> y) const {
    return gradient(dy, y);
  }  // slope > 0 keeps the sign
};

// scale * (x > 0 ? x : alpha * (exp(x) - 1)): elu with scale 1, selu with its two constants.
template <class T>
struct Elu {
  Vec<T> alpha, scale;
  Vec<T> value(Vec<T> x) const { return scale * (x > zero<T>() ? x : alpha * expm1<T>(x)); }
  Vec<T> gradient(Vec<T> dy, Vec<T> x) const {
    return dy * scale * (x > zero<T>() ? broadcast(T(1)) : alpha * exp<T>(x));
  }
  Vec<T> gradient_from_output(Vec<T> dy, Vec<T> y) const {
    // alpha > 0 keeps the sign; rounded like value(), so that the sum is 0 where that has saturated
    return dy * (y > zero<T>() ? scale : scale * alpha + y);
  }
};

template <class T>
struct Gelu {
  Vec<T> value(Vec<T> x) const { return x * normal_cdf<T>(x); }
  Vec<T> gradient(Vec<T> dy, Vec<T> x) const { return dy * gelu_slope<T>(x); }
};

// 0.5 x (1 + tanh(u / 2)) = x logistic(u), u = 2 sqrt(2/pi) (x + 0.044715 x^3)
template <class T>
struct GeluTanh {
  static constexpr T kScale = T(1.59576912160573071176), kCube = T(0.044715);
  static Vec<T> inner(Vec<T> x) { return broadcast(kScale) * fma<T>(broadcast(kCube) * x * x, x, x); }
  Vec<T> value(Vec<T> x) const { return x * logistic<T>(inner(x)); }
  Vec<T> gradient(Vec<T> dy, Vec<T> x) const {
    const Vec<T> near = clamp<T>(x, T(-32), T(32));  // beyond, the logistic is 0 or 1 and x^2 might overflow
    const LogisticPair<T> s(inner(near));
    const Vec<T> du = broadcast(kScale) * fma<T>(broadcast(3 * kCube) * near, near, broadcast(T(1)));
    return dy * s.at_x * fma<T>(near * du, s.at_minus_x, broadcast(T(1)));
  }
};

template <class T>
struct Silu {
  Vec<T> value(Vec<T> x) const { return x * logistic<T>(x); }
  Vec<T> gradient(Vec<T> dy, Vec<T> x) const {
    const LogisticPair<T> s(x);
    return dy * s.at_x * fma<T>(x, s.at_minus_x, broadcast(T(1)));
  }
};

template <class T>
struct HardSigmoid {
  Vec<T> value(Vec<T> x) const { return clamp<T>(x + broadcast(T(3)), T(0), T(6)) / broadcast(T(6)); }
  Vec<T> gradient(Vec<T> dy, Vec<T> x) const {
    return magnitude<T>(x) < broadcast(T(3)) ? dy / broadcast(T(6)) : zero<T>();
  }
  Vec<T> gradient_from_output(Vec<T> dy, Vec<T> y) const {
    const Vec<T> below = y < broadcast(T(1)) ? dy / broadcast(T(6)) : zero<T>();
    return y > zero<T>() ? below : zero<T>();
  }
};

template <class T>
struct HardSwish {
  Vec<T> value(Vec<T> x) const { return x * HardSigmoid<T>().value(x); }
  Vec<T> gradient(Vec<T> dy, Vec<T> x) const {
    const Vec<T> middle = dy * fma<T>(x, broadcast(T(1) / T(3)), broadcast(T(0.5)));
    const Vec<T> above = x >= broadcast(T(3)) ? dy : middle;
    return x <= broadcast(T(-3)) ? zero<T>() : above;
  }
};

template <class T>
struct Sigmoid {
  Vec<T> value(Vec<T> x) const { return logistic<T>(x); }
  Vec<T> gradient(Vec<T> dy, Vec<T> x) const {
    const LogisticPair<T> s(x);
    return dy * s.at_x * s.at_minus_x;
  }
  Vec<T> gradient_from_output(Vec<T> dy, Vec<T> y) const { return dy * y * (broadcast(T(1)) - y); }
};

template <class T>
struct Tanh {
  Vec<T> value(Vec<T> x) const { return tanh<T>(x); }
  Vec<T> gradient(Vec<T> dy, Vec<T> x) const {  // 4 s(2x) s(-2x): 1 - tanh^2 would cancel far out
    const LogisticPair<T> s(x + x);
    return dy * broadcast(T(4)) * s.at_x * s.at_minus_x;
  }
  Vec<T> gradient_from_output(Vec<T> dy, Vec<T> y) const {
    return dy * (broadcast(T(1)) - y) * (broadcast(T(1)) + y);
  }
};

// max(x, 0) + log(1 + exp(-|x|))
template <class T>
struct Softplus {
  Vec<T> value(Vec<T> x) const {
    const Vec<T> positive = x < zero<T>() ? zero<T>() : x;
    return positive + log1p_unit<T>(exp_of_minus_magnitude<T>(x));
  }
  Vec<T> gradient(Vec<T> dy, Vec<T> x) const { return dy * logistic<T>(x); }
  Vec<T> gradient_from_output(Vec<T> dy, Vec<T> y) const { return -dy * expm1<T>(-y); }
};

template <class T>
struct Threshold {
  Vec<T> at;
  Vec<T> value(Vec<T> x) const {
    const Vec<T> step = x > at ? broadcast(T(1)) : zero<T>();
    return x == x ? step : x;
  }
  Vec<T> gradient(Vec<T>, Vec<T>) const { return zero<T>(); }
};

template <class T>
struct Clip {
  T low, high;
  Vec<T> value(Vec<T> x) const { return clamp<T>(x, low, high); }
  Vec<T> gradient(Vec<T> dy, Vec<T> x) const {
    const Vec<T> below = x < broadcast(high) ? dy : zero<T>();
    return x > broadcast(low) ? below : zero<T>();
  }
  Vec<T> gradient_from_output(Vec<T> dy, Vec<T> y) const { return gradient(dy, y); }
};

template <class T>
struct Exponential {
  Vec<T> value(Vec<T> x) const { return exp<T>(x); }
  Vec<T> gradient(Vec<T> dy, Vec<T> x) const { return dy * exp<T>(x); }
  Vec<T> gradient_from_output(Vec<T> dy, Vec<T> y) const { return dy * y; }
};

// x t, t = tanh(softplus(x)) = n / (n + 2) with n = e^x (e^x + 2); u = exp(-|x|) keeps it in range.
template <class T>
struct Mish {
  struct Parts {
    Vec<T> t, one_minus_t;
    explicit Parts(Vec<T> x) {
      const Vec<T> u = exp_of_minus_magnitude<T>(x), two = broadcast(T(2)), one = broadcast(T(1));
      const Vec<T> upper = x < zero<T>() ? u * (u + two) : fma<T>(two, u, one);
      const Vec<T> rest = x < zero<T>() ? two : two * u * u;
      t = upper / (upper + rest);
      one_minus_t = rest / (upper + rest);
    }
  };
  Vec<T> value(Vec<T> x) const { return x * Parts(x).t; }
  Vec<T> gradient(Vec<T> dy, Vec<T> x) const {
    const Parts p(x);
    return dy * fma<T>(x * logistic<T>(x), p.one_minus_t * (broadcast(T(1)) + p.t), p.t);
  }
};

template <class T>
struct Softsign {
  Vec<T> value(Vec<T> x) const { return x / (broadcast(T(1)) + magnitude<T>(x)); }
  Vec<T> gradient(Vec<T> dy, Vec<T> x) const {
    const Vec<T> d = broadcast(T(1)) + magnitude<T>(x);
    return dy / d / d;
  }
};

// With s = sqrt(x^2 + b): (x + s) / 2, which for x < 0 is b / (2 (s - x)) without cancellation.
template <class T>
struct Squareplus {
  Vec<T> b, root_b;
  Vec<T> root(Vec<T> x) const {  // without overflow of x^2
    const Vec<T> m = magnitude<T>(x);
    const Vec<T> large = m > root_b ? m : root_b, small = m > root_b ? root_b : m;
    const Vec<T> q = small / large;
    return large * square_root<T>(fma<T>(q, q, broadcast(T(1))));
  }
  Vec<T> at(Vec<T> x, Vec<T> s) const {
    const Vec<T> half = broadcast(T(0.5));
    return x < zero<T>() ? half * b / (s - x) : half * (x + s);
  }
  Vec<T> value(Vec<T> x) const { return at(x, root(x)); }
  Vec<T> gradient(Vec<T> dy, Vec<T> x) const {
    const Vec<T> s = root(x);
    return dy * (at(x, s) / s);
  }
};

template <class T>
struct Shrink {
  Vec<T> width, bias;
  Vec<T> value(Vec<T> x) const {
    const Vec<T> inner = x == x ? zero<T>() : x;
    const Vec<T> lower = x < -width ? x + bias : inner;
    return x > width ? x - bias : lower;
  }
  Vec<T> gradient(Vec<T> dy, Vec<T> x) const { return magnitude<T>(x) > width ? dy : zero<T>(); }
};

template <class T>
struct SparsePlus {
  Vec<T> value(Vec<T> x) const {
    const Vec<T> up = x + broadcast(T(1));
    const Vec<T> above = x < broadcast(T(1)) ? broadcast(T(0.25)) * up * up : x;
    return x <= broadcast(T(-1)) ? zero<T>() : above;
  }
  Vec<T> gradient(Vec<T> dy, Vec<T> x) const {
    const Vec<T> middle = dy * fma<T>(x, broadcast(T(0.5)), broadcast(T(0.5)));
    const Vec<T> above = x < broadcast(T(1)) ? middle : dy;
    return x <= broadcast(T(-1)) ? zero<T>() : above;
  }
};

// Calls f with the function object of `activation`.
template <class T, class F>
inline void with_activation(const Activation& activation, const F& f) {
  const Vec<T> alpha = broadcast(static_cast<T>(activation.alpha));
  switch (activation.kind) {
    case ActivationKind::linear:
      return f(Linear<T>{alpha, broadcast(static_cast<T>(activation.beta))});
    case ActivationKind::relu:
      return f(Relu<T>{});
    case ActivationKind::relu6:
      return f(Relu6<T>{});
    case ActivationKind::leaky_relu:
      return f(LeakyRelu<T>{alpha});
    case ActivationKind::elu:
      return f(Elu<T>{alpha, broadcast(T(1))});
    case ActivationKind::selu:  // the fixed point of Klambauer et al. 2017
      return f(Elu<T>{broadcast(T(1.67326324235437728481)), broadcast(T(1.05070098735548049342))});
    case ActivationKind::gelu:
      return f(Gelu<T>{});
    case ActivationKind::gelu_tanh:
      return f(GeluTanh<T>{});
    case ActivationKind::silu:
      return f(Silu<T>{});
    case ActivationKind::hard_sigmoid:
      return f(HardSigmoid<T>{});
    case ActivationKind::hard_swish:
      return f(HardSwish<T>{});
    case ActivationKind::sigmoid:
      return f(Sigmoid<T>{});
    case ActivationKind::tanh:
      return f(Tanh<T>{});
    case ActivationKind::softplus:
      return f(Softplus<T>{});
    case ActivationKind::threshold:
      return f(Threshold<T>{alpha});
    case ActivationKind::clip:
      return f(Clip<T>{static_cast<T>(activation.alpha), static_cast<T>(activation.beta)});
    case ActivationKind::exponential:
      return f(Exponential<T>{});
    case ActivationKind::mish:
      return f(Mish<T>{});
    case ActivationKind::softsign:
      return f(Softsign<T>{});
    case ActivationKind::squareplus:
      return f(Squareplus<T>{alpha, square_root<T>(alpha)});
    case ActivationKind::shrink:
      return f(Shrink<T>{alpha, broadcast(static_cast<T>(activation.beta))});
    case ActivationKind::sparse_plus:
      return f(SparsePlus<T>{});
  }
}

// data[i] = activation(data[i]) for i < n, bit for bit as activation_forward; serial.
template <class T>
void apply_activation(const Activation& activation, T* data, int64_t n);

}  // namespace fc::cpu::FC_ISA
