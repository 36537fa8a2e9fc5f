// math.h — elementary functions on vectors.
//
// float: branch-free polynomials (Moshier's Cephes, 1984-1992, single precision), at most 3 ulp from the true
// value over the whole range; tests/test_math.py measures it. double and erf: the C library, lane by lane.
// NaN gives NaN in its own lane; overflow gives infinity, underflow a subnormal or 0.
#pragma once

#include <cmath>

#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {

// f(lane) for every lane.
template <class T, class F>
FC_INLINE Vec<T> map_lanes(Vec<T> v, const F& f) {
  T lanes[kLanes<T>];
  store(lanes, v);
  for (int64_t i = 0; i < kLanes<T>; ++i) lanes[i] = f(lanes[i]);
  return load(lanes);
}

// c[0] x^(n-1) + ... + c[n-1], by Horner's rule.
template <class T, int n>
FC_INLINE Vec<T> polynomial(Vec<T> x, const T (&c)[n]) {
  Vec<T> y = broadcast(c[0]);
#pragma GCC unroll 16
  for (int i = 1; i < n; ++i) y = fma<T>(y, x, broadcast(c[i]));
  return y;
}

// 2^n for integers -126 <= n <= 127, made of its bits.
FC_INLINE Vec<float> power_of_two(IntVec<float> n) {
  return (Vec<float>)((n + 127) << 23);
}

// (exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2.
FC_INLINE Vec<float> exp_tail(Vec<float> r) {
  constexpr float c[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                         4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
  return polynomial<float>(r, c);
}

template <class T>
FC_INLINE Vec<T> exp(Vec<T> x) {
  if constexpr (sizeof(T) == 8) {
    return map_lanes<T>(x, [](T v) { return std::exp(v); });
  } else {
    // x = n ln2 + r; beyond the clamp the result is 0 or infinity anyway. Comparisons let NaN through.
    x = x < broadcast(-104.0f) ? broadcast(-104.0f) : x;
    x = x > broadcast(89.0f) ? broadcast(89.0f) : x;
    constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
    const Vec<float> shifted = x * broadcast(1.44269504f) + broadcast(kRound);
    const Vec<float> n = shifted - broadcast(kRound);
    const IntVec<float> whole = (IntVec<float>)shifted - (IntVec<float>)broadcast(kRound);
    Vec<float> r = fma<float>(n, broadcast(-0.693359375f), x);
    r = fma<float>(n, broadcast(2.12194440e-4f), r);
    const Vec<float> y = fma<float>(exp_tail(r), r * r, r) + broadcast(1.0f);
    // Two factors, because 2^n itself may overflow or be subnormal where the result is not.
    const IntVec<float> half = whole >> 1;
    return y * power_of_two(half) * power_of_two(whole - half);
  }
}

template <class T>
FC_INLINE Vec<T> expm1(Vec<T> x) {
  if constexpr (sizeof(T) == 8) {
    return map_lanes<T>(x, [](T v) { return std::expm1(v); });
  } else {
    const Vec<float> magnitude = x < zero<float>() ? -x : x;
    const Vec<float> small = fma<float>(exp_tail(x), x * x, x);
    return magnitude > broadcast(0.34f) ? exp<float>(x) - broadcast(1.0f) : small;
  }
}

// log(1 + u) for 0 <= u <= 1.
template <class T>
FC_INLINE Vec<T> log1p_unit(Vec<T> u) {
  if constexpr (sizeof(T) == 8) {
    return map_lanes<T>(u, [](T v) { return std::log1p(v); });
  } else {
    // log(y) for y = fl(1 + u), corrected by u / (y - 1) for what the addition lost (Higham 2002, 1.14.1).
    const Vec<float> one = broadcast(1.0f);
    const Vec<float> y = one + u;
    const auto halved = y > broadcast(1.41421356f);
    const Vec<float> z = (halved ? y * broadcast(0.5f) : y) - one;
    constexpr float c[] = {7.0376836292e-2f,  -1.1514610310e-1f, 1.1676998740e-1f,
                           -1.2420140846e-1f, 1.4249322787e-1f,  -1.6668057665e-1f,
                           2.0000714765e-1f,  -2.4999993993e-1f, 3.3333331174e-1f};
    const Vec<float> z2 = z * z;
    const Vec<float> e = halved ? one : zero<float>();
    Vec<float> log_y = fma<float>(polynomial<float>(z, c) * z2, z, e * broadcast(-2.12194440e-4f));
    log_y = fma<float>(z2, broadcast(-0.5f), log_y) + z;
    log_y = fma<float>(e, broadcast(0.693359375f), log_y);
    const Vec<float> lost = y - one;
    return lost == zero<float>() ? u : log_y * (u / lost);
  }
}

template <class T>
FC_INLINE Vec<T> tanh(Vec<T> x) {
  if constexpr (sizeof(T) == 8) {
    return map_lanes<T>(x, [](T v) { return std::tanh(v); });
  } else {
    const Vec<float> one = broadcast(1.0f);
    const Vec<float> magnitude = x < zero<float>() ? -x : x;
    constexpr float c[] = {-5.70498872745e-3f, 2.06390887954e-2f, -5.37397155531e-2f, 1.33314422036e-1f,
                           -3.33332819422e-1f};
    const Vec<float> x2 = x * x;
    const Vec<float> small = fma<float>(polynomial<float>(x2, c) * x2, x, x);
    const Vec<float> large = one - broadcast(2.0f) / (exp<float>(magnitude + magnitude) + one);
    const Vec<float> signed_large = x < zero<float>() ? -large : large;
    return magnitude > broadcast(0.625f) ? signed_large : small;
  }
}

template <class T>
FC_INLINE Vec<T> erf(Vec<T> x) {
  return map_lanes<T>(x, [](T v) { return std::erf(v); });
}

// 1 / (1 + exp(-x)): exp may overflow to infinity, whose reciprocal is the right 0.
template <class T>
FC_INLINE Vec<T> sigmoid(Vec<T> x) {
  const Vec<T> one = broadcast(T(1));
  return one / (one + exp<T>(-x));
}

}  // namespace fc::cpu::FC_ISA
