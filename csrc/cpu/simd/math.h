// math.h — elementary functions on vectors, branch-free: every lane runs the same arithmetic.
//
// One formula serves float and double; only the number of terms differs. Largest errors found, in units in
// the last place (tests/test_math.py holds the kernels to them): exp 1.2, expm1 1.8, log1p_unit 1.4,
// tanh 2.5, logistic 2.4, LogisticPair 2.6, Normal's cdf 5.6 and density 2.4; the same with and without fused
// multiply-add. NaN stays in its own lane; overflow gives infinity, underflow a subnormal number or zero.
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
  static constexpr float kNormalFar = 15;  // the density and the tail underflow here
  // Normal::scaled_tail's p for 0 <= y <= kNormalFar: of least relative error, 1.6e-8 (Remez)
  static constexpr float kTailScale = 2.5;
  static constexpr double kTail[] = {-0.0001577022907, -0.0003116227678, 0.0006844126639, 0.002523932633,
                                     -0.001600830031,  -0.01638618545,   0.009235875739,  0.1319869788,
                                     -0.4336920123,    0.7066566599};
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
  static constexpr double kNormalFar = 39;
  static constexpr double kTailScale = 3;
  static constexpr double kTail[] = {
      -4.74752149461479837e-9,   -1.29864179518211163e-8,  1.65625516139757584e-8,  9.43111148998675244e-8,
      5.65296348075051944e-8,    -2.7238682545366292e-7,   -6.06748698360065271e-7, 7.63519036329716096e-9,
      2.26498313555078379e-6,    3.64009645554431594e-6,   -3.52113422779150098e-6, -0.0000206891407531684286,
      -0.0000132451243696777468, 0.0000788126747711457111, 0.000154394305730541736, -0.000256575347499829867,
      -0.00104582860520508545,   0.00102759225926909879,   0.00697262123936079368,  -0.0104628670233191334,
      -0.0472630251429388567,    0.230017719974603806,     -0.50933198191748976,    0.729083690133372996};
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

// a * b = product + error, exactly.
template <class T>
FC_INLINE Vec<T> product_error(Vec<T> a, Vec<T> b, Vec<T> product) {
#if FC_VECTOR_BYTES >= 32
  return fma<T>(a, b, -product);
#else  // from the two halves of each factor (Dekker 1971)
  constexpr auto kHighHalf = IntLane<T>(-1) << ((Format<T>::kMantissaBits + 2) / 2);
  const Vec<T> a_high = (Vec<T>)((IntVec<T>)a & kHighHalf), a_low = a - a_high;
  const Vec<T> b_high = (Vec<T>)((IntVec<T>)b & kHighHalf), b_low = b - b_high;
  return ((a_high * b_high - product) + (a_high * b_low + a_low * b_high)) + a_low * b_low;
#endif
}

// The standard normal distribution at x: what gelu and its derivative share.
template <class T>
struct Normal {
  Vec<T> cdf, density;

  FC_INLINE explicit Normal(Vec<T> x) {
    const Vec<T> y = min_or_second<T>(broadcast(Format<T>::kNormalFar), magnitude<T>(x));
    const Vec<T> bell = bell_curve(y);
    const Vec<T> tail = bell * scaled_tail(y);  // of one side
    cdf = x < zero<T>() ? tail : broadcast(T(1)) - tail;
    density = bell * broadcast(T(0.39894228040143267794));
  }

 private:
  // exp(-y^2 / 2), with the rounding error of y^2, which exp would blow up by y^2.
  static FC_INLINE Vec<T> bell_curve(Vec<T> y) {
    const Vec<T> minus_half = broadcast(T(-0.5)) * y;
    const Vec<T> exponent = minus_half * y;
    return exp_of_sum<T>(exponent, product_error<T>(minus_half, y, exponent));
  }

  // P(X > y) exp(y^2 / 2) as p(t) / (y + k), t = (y - k) / (y + k), after Shepherd and Laframboise 1981; the
  // smaller k, the less the rounding of y + k costs, and the more terms it takes.
  static FC_INLINE Vec<T> scaled_tail(Vec<T> y) {
    constexpr T k = Format<T>::kTailScale;
    const Vec<T> r = broadcast(T(1)) / (y + broadcast(k));
    const Vec<T> t = fma<T>(broadcast(-2 * k), r, broadcast(T(1)));
    return polynomial<T>(t, Format<T>::kTail) * r;
  }
};

}  // namespace fc::cpu::FC_ISA
