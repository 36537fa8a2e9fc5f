// math.h — elementary functions on vectors, branch-free: every lane runs the same arithmetic.
//
// One formula serves float and double; only the number of terms differs. Largest errors found, in units in
// the last place (tests/test_math.py holds the kernels to them): exp 1.2, expm1 1.8, log1p_unit 1.4,
// tanh 2.5, logistic 2.4, LogisticPair 2.6; the same with and without fused multiply-add. NaN stays in its own
// lane; overflow gives infinity, underflow a subnormal number or zero. The normal distribution: normal.h.
#pragma once

#include <limits>

#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {

// Constants of the format, and series long enough to get below half a unit in the last place.
template <class T>
struct Format;

template <>
struct Format<float> {
  static constexpr int kMantissaBits = 23, kBias = 127;
  static constexpr float kLn2High = 0.693359375f,
                         kLn2Low = -2.12194440054690583e-4f;  // n * kLn2High is exact
  static constexpr float kExpZero = -104, kExpInfinite = 89;  // exp is 0, is infinite from here on
  // (exp(r) - 1 - r) / r^2 for |r| <= ln2 / 2: of least relative error in exp(r) - 1, 1.4e-8 (Remez)
  static constexpr double kExp[] = {1.394645226e-3, 8.366583926e-3, 4.1666282e-2, 1.666654299e-1,
                                    5.000000062e-1};
  static constexpr double kAtanh[] = {2.0 / 15, 2.0 / 13, 2.0 / 11, 2.0 / 9, 2.0 / 7, 2.0 / 5, 2.0 / 3};
};

template <>
struct Format<double> {
  static constexpr int kMantissaBits = 52, kBias = 1023;
  static constexpr double kLn2High = 0x1.62e42fee00000p-1, kLn2Low = 1.90821492927058770e-10;
  static constexpr double kExpZero = -746, kExpInfinite = 710;
  static constexpr double kExp[] = {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800,
                                    1.0 / 362880,     1.0 / 40320,     1.0 / 5040,     1.0 / 720,
                                    1.0 / 120,        1.0 / 24,        1.0 / 6,        1.0 / 2};
  static constexpr double kAtanh[] = {2.0 / 31, 2.0 / 29, 2.0 / 27, 2.0 / 25, 2.0 / 23,
                                      2.0 / 21, 2.0 / 19, 2.0 / 17, 2.0 / 15, 2.0 / 13,
                                      2.0 / 11, 2.0 / 9,  2.0 / 7,  2.0 / 5,  2.0 / 3};
};

template <class T>
FC_INLINE Vec<T> magnitude(Vec<T> x) {
  constexpr auto kMask = std::numeric_limits<IntLane<T>>::max();  // every bit but the sign
  return (Vec<T>)((IntVec<T>)x & kMask);
}

template <class T>
FC_INLINE Vec<T> with_sign_of(Vec<T> sign, Vec<T> positive) {
  constexpr auto kSign = std::numeric_limits<IntLane<T>>::min();
  return (Vec<T>)((IntVec<T>)positive | ((IntVec<T>)sign & kSign));
}

// Rounded as IEEE 754 has it. Masked with all lanes on AVX-512, where GCC 12 warns of its own header (bug
// 105593).
template <class T>
FC_INLINE Vec<T> square_root(Vec<T> x) {
#if FC_VECTOR_BYTES == 64 && defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    return (Vec<T>)_mm512_maskz_sqrt_ps(__mmask16(-1), (__m512)x);
  } else {
    return (Vec<T>)_mm512_maskz_sqrt_pd(__mmask8(-1), (__m512d)x);
  }
#elif FC_VECTOR_BYTES == 32 && defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    return (Vec<T>)_mm256_sqrt_ps((__m256)x);
  } else {
    return (Vec<T>)_mm256_sqrt_pd((__m256d)x);
  }
#elif FC_VECTOR_BYTES == 16 && defined(__SSE2__)
  if constexpr (sizeof(T) == 4) {
    return (Vec<T>)_mm_sqrt_ps((__m128)x);
  } else {
    return (Vec<T>)_mm_sqrt_pd((__m128d)x);
  }
#else
  for (int64_t i = 0; i < kLanes<T>; ++i) x[i] = static_cast<T>(__builtin_sqrt(x[i]));
  return x;
#endif
}

// x held between two bounds; NaN stays NaN.
template <class T>
FC_INLINE Vec<T> clamp(Vec<T> x, T low, T high) {
  return min_or_second<T>(broadcast(high), max_or_second<T>(broadcast(low), x));
}

// Coefficients highest power first, by Horner's rule.
template <class T, int n>
FC_INLINE Vec<T> polynomial(Vec<T> x, const double (&c)[n]) {
  Vec<T> y = broadcast(static_cast<T>(c[0]));
#pragma GCC unroll 32
  for (int i = 1; i < n; ++i) y = fma<T>(y, x, broadcast(static_cast<T>(c[i])));
  return y;
}

// 2^n, made of its bits; n within the exponents of normal numbers.
template <class T>
FC_INLINE Vec<T> power_of_two(IntVec<T> n) {
  return (Vec<T>)((n + Format<T>::kBias) << Format<T>::kMantissaBits);
}

// x = n ln2 + r with |r| <= ln2 / 2; ln2 in two parts keeps r exact to the last place (Cody and Waite 1980).
template <class T>
struct Reduced {
  Vec<T> n, r;  // n is whole

  FC_INLINE explicit Reduced(Vec<T> x) {
    const Vec<T> whole = fma<T>(x, broadcast(T(1.44269504088896340736)), broadcast(kRound));
    n = whole - broadcast(kRound);
    r = fma<T>(n, broadcast(-Format<T>::kLn2High), x);
    r = fma<T>(n, broadcast(-Format<T>::kLn2Low), r);
  }

  // exp(r) and exp(r) - 1; the leading terms are added last and unrounded.
  FC_INLINE Vec<T> exp() const {
    const Vec<T> rest = fma<T>(polynomial<T>(r, Format<T>::kExp), r, broadcast(T(1)));
    return fma<T>(rest, r, broadcast(T(1)));
  }
  FC_INLINE Vec<T> expm1() const { return fma<T>(polynomial<T>(r, Format<T>::kExp), r * r, r); }

  FC_INLINE IntVec<T> whole() const {
    return (IntVec<T>)(n + broadcast(kRound)) - (IntVec<T>)broadcast(kRound);
  }

  // y 2^n, rounded once: 2^n alone may overflow or be subnormal where the result is not.
  FC_INLINE Vec<T> scaled(Vec<T> y) const {
#if FC_VECTOR_BYTES == 64 && defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) {
      return (Vec<T>)_mm512_maskz_scalef_ps(0xFFFF, (__m512)y, (__m512)n);
    } else {
      return (Vec<T>)_mm512_maskz_scalef_pd(0xFF, (__m512d)y, (__m512d)n);
    }
#else
    const IntVec<T> half = whole() >> 1;
    return y * power_of_two<T>(half) * power_of_two<T>(whole() - half);
#endif
  }

 private:
  // Adding 1.5 * 2^mantissa rounds to an integer and leaves it in the low bits.
  static constexpr T kRound = T(1.5) * static_cast<T>(int64_t{1} << Format<T>::kMantissaBits);
};

// exp(x + correction) for x from kExpZero to kExpInfinite, |correction| a few units in the last place of x.
template <class T>
FC_INLINE Vec<T> exp_of_sum(Vec<T> x, Vec<T> correction) {
  Reduced<T> reduced(x);
  reduced.r += correction;
  return reduced.scaled(reduced.exp());
}

template <class T>
FC_INLINE Vec<T> exp(Vec<T> x) {
  const Reduced<T> reduced(clamp<T>(x, Format<T>::kExpZero, Format<T>::kExpInfinite));
  return reduced.scaled(reduced.exp());
}

// exp(-|x|), which does not overflow.
template <class T>
FC_INLINE Vec<T> exp_of_minus_magnitude(Vec<T> x) {
  const Reduced<T> reduced(max_or_second<T>(broadcast(Format<T>::kExpZero), -magnitude<T>(x)));
  return reduced.scaled(reduced.exp());
}

// (exp(x) - 1) / 2 for x up to kExpInfinite: half of it, so that 2^128 and 2^1024 do not overflow.
template <class T>
FC_INLINE Vec<T> half_expm1(Vec<T> x) {
  const Reduced<T> reduced(max_or_second<T>(broadcast(T(-40)), x));
  const Vec<T> scale = power_of_two<T>(reduced.whole() - 1);
  return fma<T>(reduced.expm1(), scale, scale - broadcast(T(0.5)));
}

template <class T>
FC_INLINE Vec<T> expm1(Vec<T> x) {
  const Vec<T> half = half_expm1<T>(min_or_second<T>(broadcast(Format<T>::kExpInfinite), x));
  constexpr T kLinear = std::numeric_limits<T>::epsilon() / 2;  // below it x is the answer, down to -0
  return magnitude<T>(x) < broadcast(kLinear) ? x : half + half;
}

// log(1 + u) for 0 <= u <= 1: 2 atanh(s) by its series, s = u / (2 + u), where 2 s = u - s u loses nothing of
// u.
template <class T>
FC_INLINE Vec<T> log1p_unit(Vec<T> u) {
  const Vec<T> s = u / (u + broadcast(T(2)));
  const Vec<T> s2 = s * s;
  return u - s * (u - s2 * polynomial<T>(s2, Format<T>::kAtanh));
}

// -h / (1 + h) with h = (exp(-2|x|) - 1) / 2, which neither cancels near 0 nor overflows.
template <class T>
FC_INLINE Vec<T> tanh(Vec<T> x) {
  const Vec<T> h = half_expm1<T>(broadcast(T(-2)) * magnitude<T>(x));
  return with_sign_of<T>(x, magnitude<T>(h / (broadcast(T(1)) + h)));
}

// 1 / (1 + exp(-x)), by exp(-|x|) to keep small results exact.
template <class T>
FC_INLINE Vec<T> logistic(Vec<T> x) {
  const Vec<T> one = broadcast(T(1));
  const Vec<T> e = exp_of_minus_magnitude<T>(x);
  return (x < zero<T>() ? e : one) / (one + e);
}

// The logistic of x and that of -x.
template <class T>
struct LogisticPair {
  Vec<T> at_x, at_minus_x;

  FC_INLINE explicit LogisticPair(Vec<T> x) {
    const Vec<T> one = broadcast(T(1));
    const Vec<T> e = exp_of_minus_magnitude<T>(x);
    const Vec<T> large = one / (one + e), small = e * large;
    at_x = x < zero<T>() ? small : large;
    at_minus_x = x < zero<T>() ? large : small;
  }
};

}  // namespace fc::cpu::FC_ISA
