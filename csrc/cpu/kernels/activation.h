// activation.h — every activation as a function object: its value, its derivative, and where it can be had
// the derivative from the output alone. One dispatch from ActivationKind to the object serves all kernels and
// fused epilogues.
#pragma once

#include "core/activation.h"
#include "cpu/simd/math.h"

namespace fc::cpu::FC_ISA {

// NaN passes through every function: comparisons are written so that a NaN takes the branch that returns it.

template <class T>
struct Linear {
  Vec<T> scale, offset;
  Vec<T> value(Vec<T> x) const { return fma<T>(scale, x, offset); }
  Vec<T> slope(Vec<T>) const { return scale; }
  Vec<T> slope_from_output(Vec<T>) const { return scale; }
};

template <class T>
struct Relu {
  Vec<T> value(Vec<T> x) const { return x < zero<T>() ? zero<T>() : x; }
  Vec<T> slope(Vec<T> x) const { return x > zero<T>() ? broadcast(T(1)) : zero<T>(); }
  Vec<T> slope_from_output(Vec<T> y) const { return slope(y); }
};

template <class T>
struct Relu6 {
  Vec<T> value(Vec<T> x) const {
    const Vec<T> y = x < zero<T>() ? zero<T>() : x;
    return y > broadcast(T(6)) ? broadcast(T(6)) : y;
  }
  Vec<T> slope(Vec<T> x) const {
    const Vec<T> below = x < broadcast(T(6)) ? broadcast(T(1)) : zero<T>();
    return x > zero<T>() ? below : zero<T>();
  }
  Vec<T> slope_from_output(Vec<T> y) const { return slope(y); }
};

template <class T>
struct LeakyRelu {
  Vec<T> leak;
  Vec<T> value(Vec<T> x) const { return x < zero<T>() ? leak * x : x; }
  Vec<T> slope(Vec<T> x) const { return x > zero<T>() ? broadcast(T(1)) : leak; }
  Vec<T> slope_from_output(Vec<T> y) const { return slope(y); }  // the sign is kept: leak > 0
};

// scale * (x > 0 ? x : alpha * (exp(x) - 1)): elu with scale 1, selu with its two constants.
template <class T>
struct Elu {
  Vec<T> alpha, scale;
  Vec<T> value(Vec<T> x) const { return scale * (x > zero<T>() ? x : alpha * expm1<T>(x)); }
  Vec<T> slope(Vec<T> x) const { return scale * (x > zero<T>() ? broadcast(T(1)) : alpha * exp<T>(x)); }
  Vec<T> slope_from_output(Vec<T> y) const { return y > zero<T>() ? scale : fma<T>(scale, alpha, y); }
};

template <class T>
struct Gelu {
  Vec<T> value(Vec<T> x) const {
    return broadcast(T(0.5)) * x * (broadcast(T(1)) + erf<T>(x * broadcast(T(0.70710678118654752440))));
  }
  Vec<T> slope(Vec<T> x) const {
    const Vec<T> cdf =
        broadcast(T(0.5)) * (broadcast(T(1)) + erf<T>(x * broadcast(T(0.70710678118654752440))));
    const Vec<T> pdf = broadcast(T(0.39894228040143267794)) * exp<T>(broadcast(T(-0.5)) * x * x);
    return fma<T>(x, pdf, cdf);
  }
};

// 0.5 x (1 + tanh(u)), u = sqrt(2/pi) (x + 0.044715 x^3)
template <class T>
struct GeluTanh {
  static constexpr T kScale = T(0.79788456080286535588), kCube = T(0.044715);
  Vec<T> inner(Vec<T> x) const { return broadcast(kScale) * fma<T>(broadcast(kCube) * x * x, x, x); }
  Vec<T> value(Vec<T> x) const { return broadcast(T(0.5)) * x * (broadcast(T(1)) + tanh<T>(inner(x))); }
  Vec<T> slope(Vec<T> x) const {
    const Vec<T> one = broadcast(T(1)), half = broadcast(T(0.5));
    const Vec<T> t = tanh<T>(inner(x));
    const Vec<T> du = broadcast(kScale) * fma<T>(broadcast(3 * kCube) * x, x, one);
    return half * (one + t) + half * x * (one - t * t) * du;
  }
};

template <class T>
struct Silu {
  Vec<T> value(Vec<T> x) const { return x * sigmoid<T>(x); }
  Vec<T> slope(Vec<T> x) const {
    const Vec<T> s = sigmoid<T>(x), one = broadcast(T(1));
    return s * (one + x * (one - s));
  }
};

template <class T>
struct HardSigmoid {
  Vec<T> value(Vec<T> x) const { return Relu6<T>().value(x + broadcast(T(3))) / broadcast(T(6)); }
  Vec<T> slope(Vec<T> x) const { return Relu6<T>().slope(x + broadcast(T(3))) / broadcast(T(6)); }
  Vec<T> slope_from_output(Vec<T> y) const {
    const Vec<T> below = y < broadcast(T(1)) ? broadcast(T(1) / T(6)) : zero<T>();
    return y > zero<T>() ? below : zero<T>();
  }
};

template <class T>
struct HardSwish {
  Vec<T> value(Vec<T> x) const { return x * HardSigmoid<T>().value(x); }
  Vec<T> slope(Vec<T> x) const { return fma<T>(x, HardSigmoid<T>().slope(x), HardSigmoid<T>().value(x)); }
};

template <class T>
struct Sigmoid {
  Vec<T> value(Vec<T> x) const { return sigmoid<T>(x); }
  Vec<T> slope(Vec<T> x) const { return slope_from_output(sigmoid<T>(x)); }
  Vec<T> slope_from_output(Vec<T> y) const { return y * (broadcast(T(1)) - y); }
};

template <class T>
struct Tanh {
  Vec<T> value(Vec<T> x) const { return tanh<T>(x); }
  Vec<T> slope(Vec<T> x) const { return slope_from_output(tanh<T>(x)); }
  Vec<T> slope_from_output(Vec<T> y) const { return broadcast(T(1)) - y * y; }
};

// max(x, 0) + log(1 + exp(-|x|))
template <class T>
struct Softplus {
  Vec<T> value(Vec<T> x) const {
    const Vec<T> positive = x < zero<T>() ? zero<T>() : x;
    const Vec<T> minus_magnitude = x < zero<T>() ? x : -x;
    return positive + log1p_unit<T>(exp<T>(minus_magnitude));
  }
  Vec<T> slope(Vec<T> x) const { return sigmoid<T>(x); }
  Vec<T> slope_from_output(Vec<T> y) const { return -expm1<T>(-y); }
};

template <class T>
struct Threshold {
  Vec<T> at;
  Vec<T> value(Vec<T> x) const {
    const Vec<T> step = x > at ? broadcast(T(1)) : zero<T>();
    return x == x ? step : x;
  }
  Vec<T> slope(Vec<T>) const { return zero<T>(); }
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
  }
}

// data[i] = activation(data[i]) for i < n, bit for bit as activation_forward.
template <class T>
void apply_activation(const Activation& activation, T* data, int64_t n);

}  // namespace fc::cpu::FC_ISA
