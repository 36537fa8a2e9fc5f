// math.h — elementary functions on vectors, branch-free: every lane runs the same arithmetic.
//
// One formula serves float and double; only the number of terms differs. Largest errors found, in units in
// the last place (tests/test_math.py holds the kernels to them): exp 1.1, expm1 1.9, log1p_unit 1.4,
// tanh 2.5, logistic 2.4, Normal's cdf 4.7 and density 2.2; the same with and without fused multiply-add. NaN
// stays in its own lane; overflow gives infinity, underflow a subnormal number or zero.
#pragma once

#include <limits>

#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {

// Constants of the format, and how many terms of each series it takes to get below half a unit in the last
// place.
template <class T>
struct Format;

template <>
struct Format<float> {
  static constexpr int kMantissaBits = 23, kBias = 127;
  static constexpr float kLn2High = 0.693359375f,
                         kLn2Low = -2.12194440054690583e-4f;  // n * kLn2High is exact
  static constexpr float kExpZero = -104, kExpInfinite = 89;  // exp is 0, is infinite from here on
  static constexpr int kExpTerms = 6, kLog1pTerms = 7;
  static constexpr float kNormalFar = 15;  // the density and the tail underflow here
};

template <>
struct Format<double> {
  static constexpr int kMantissaBits = 52, kBias = 1023;
  static constexpr double kLn2High = 0x1.62e42fee00000p-1, kLn2Low = 1.90821492927058770e-10;
  static constexpr double kExpZero = -746, kExpInfinite = 710;
  static constexpr int kExpTerms = 12, kLog1pTerms = 15;
  static constexpr double kNormalFar = 39;
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

// Rounded as IEEE 754 has it.
template <class T>
FC_INLINE Vec<T> square_root(Vec<T> x) {
#if FC_VECTOR_BYTES == 64 && defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    return (Vec<T>)_mm512_sqrt_ps((__m512)x);
  } else {
    return (Vec<T>)_mm512_sqrt_pd((__m512d)x);
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
  x = x < broadcast(low) ? broadcast(low) : x;
  return x > broadcast(high) ? broadcast(high) : x;
}

// The last `terms` coefficients of c, highest power first, by Horner's rule.
template <class T, int terms, int n>
FC_INLINE Vec<T> polynomial(Vec<T> x, const double (&c)[n]) {
  Vec<T> y = broadcast(static_cast<T>(c[n - terms]));
#pragma GCC unroll 32
  for (int i = n - terms + 1; i < n; ++i) y = fma<T>(y, x, broadcast(static_cast<T>(c[i])));
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
  IntVec<T> n;
  Vec<T> r;

  FC_INLINE explicit Reduced(Vec<T> x) {
    // Adding 1.5 * 2^mantissa rounds to an integer and leaves it in the low bits.
    constexpr T kRound = T(1.5) * static_cast<T>(int64_t{1} << Format<T>::kMantissaBits);
    const Vec<T> shifted = x * broadcast(T(1.44269504088896340736)) + broadcast(kRound);
    const Vec<T> whole = shifted - broadcast(kRound);
    n = (IntVec<T>)shifted - (IntVec<T>)broadcast(kRound);
    r = fma<T>(whole, broadcast(-Format<T>::kLn2High), x);
    r = fma<T>(whole, broadcast(-Format<T>::kLn2Low), r);
  }

  // exp(r) - 1 by Taylor's series; the leading r is added last and unrounded.
  FC_INLINE Vec<T> expm1() const {
    constexpr double c[] = {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800,
                            1.0 / 362880,     1.0 / 40320,     1.0 / 5040,     1.0 / 720,
                            1.0 / 120,        1.0 / 24,        1.0 / 6,        1.0 / 2};
    return fma<T>(polynomial<T, Format<T>::kExpTerms>(r, c), r * r, r);
  }
};

// exp(x + correction), |correction| a few units in the last place of x.
template <class T>
FC_INLINE Vec<T> exp_of_sum(Vec<T> x, Vec<T> correction) {
  Reduced<T> reduced(clamp<T>(x, Format<T>::kExpZero, Format<T>::kExpInfinite));
  reduced.r += correction;
  const Vec<T> y = broadcast(T(1)) + reduced.expm1();
  // Two factors, because 2^n itself may overflow or be subnormal where the result is not.
  const IntVec<T> half = reduced.n >> 1;
  return y * power_of_two<T>(half) * power_of_two<T>(reduced.n - half);
}

template <class T>
FC_INLINE Vec<T> exp(Vec<T> x) {
  return exp_of_sum<T>(x, zero<T>());
}

template <class T>
FC_INLINE Vec<T> expm1(Vec<T> x) {
  const Reduced<T> reduced(clamp<T>(x, T(-40), Format<T>::kExpInfinite));
  // 2^n expm1(r) + (2^n - 1), at half its size so that 2^128 and 2^1024 do not overflow.
  const Vec<T> scale = power_of_two<T>(reduced.n - 1);
  const Vec<T> half = fma<T>(reduced.expm1(), scale, scale - broadcast(T(0.5)));
  constexpr T kLinear = std::numeric_limits<T>::epsilon() / 2;  // below it x is the answer, down to -0
  return magnitude<T>(x) < broadcast(kLinear) ? x : half + half;
}

// log(1 + u) for 0 <= u <= 1: 2 atanh(s) by its series, s = u / (2 + u), where 2 s = u - s u loses nothing of
// u.
template <class T>
FC_INLINE Vec<T> log1p_unit(Vec<T> u) {
  constexpr double c[] = {2.0 / 31, 2.0 / 29, 2.0 / 27, 2.0 / 25, 2.0 / 23, 2.0 / 21, 2.0 / 19, 2.0 / 17,
                          2.0 / 15, 2.0 / 13, 2.0 / 11, 2.0 / 9,  2.0 / 7,  2.0 / 5,  2.0 / 3};
  const Vec<T> s = u / (u + broadcast(T(2)));
  const Vec<T> s2 = s * s;
  return u - s * (u - s2 * polynomial<T, Format<T>::kLog1pTerms>(s2, c));
}

// -m / (2 + m) with m = exp(-2|x|) - 1, which neither cancels near 0 nor overflows.
template <class T>
FC_INLINE Vec<T> tanh(Vec<T> x) {
  const Vec<T> m = expm1<T>(broadcast(T(-2)) * magnitude<T>(x));
  return with_sign_of<T>(x, magnitude<T>(m) / (broadcast(T(2)) + m));
}

// 1 / (1 + exp(-x)), by exp(-|x|) to keep small results exact.
template <class T>
FC_INLINE Vec<T> logistic(Vec<T> x) {
  const Vec<T> one = broadcast(T(1));
  const Vec<T> e = exp<T>(-magnitude<T>(x));
  return (x < zero<T>() ? e : one) / (one + e);
}

// The standard normal distribution at x: what gelu and its derivative share.
template <class T>
struct Normal {
  Vec<T> cdf, density;

  FC_INLINE explicit Normal(Vec<T> x) {
    const Vec<T> y = clamp<T>(magnitude<T>(x), T(0), Format<T>::kNormalFar);
    const Vec<T> bell = bell_curve(y);
    const Vec<T> tail = bell * scaled_tail(y);  // of one side
    cdf = x < zero<T>() ? tail : broadcast(T(1)) - tail;
    density = bell * broadcast(T(0.39894228040143267794));
  }

 private:
  // exp(-y^2 / 2): the rounding error of y^2, which exp would blow up by y^2, is found exactly from the two
  // halves of y (Dekker 1971) and handed on.
  static FC_INLINE Vec<T> bell_curve(Vec<T> y) {
    constexpr auto kHighHalf = IntLane<T>(-1) << ((Format<T>::kMantissaBits + 2) / 2);
    const Vec<T> high = (Vec<T>)((IntVec<T>)y & kHighHalf);
    const Vec<T> low = y - high;
    const Vec<T> square = y * y;
    const Vec<T> error = ((high * high - square) + broadcast(T(2)) * high * low) + low * low;
    return exp_of_sum<T>(broadcast(T(-0.5)) * square, broadcast(T(-0.5)) * error);
  }

  // P(X > y) exp(y^2 / 2) as p(t) / (y + 4), t = (y - 4) / (y + 4), after Shepherd and Laframboise 1981; p
  // interpolates the function at Chebyshev's nodes of 0 <= y <= kNormalFar.
  static FC_INLINE Vec<T> scaled_tail(Vec<T> y) {
    const Vec<T> four = broadcast(T(4));
    const Vec<T> t = (y - four) / (y + four);
    if constexpr (sizeof(T) == 4) {
      constexpr double c[] = {-5.15565933e-5,  -2.317986783e-4, 1.710546116e-4, 1.645219297e-3,
                              -3.489317276e-3, -7.545268266e-3, 6.039753309e-2, -1.865212814e-1,
                              3.87137368e-1,   -6.078966591e-1, 7.552851306e-1};
      return polynomial<T, 11>(t, c) / (y + four);
    } else {
      constexpr double c[] = {
          -7.2624198104095793e-10, -2.52209945787807354e-9, 1.91827702037334026e-9,  1.96196108613555597e-8,
          1.32807977873103278e-8,  -8.54084181568512498e-8, -1.54964917422474505e-7, 2.71804529625928358e-7,
          1.02155403719610153e-6,  -6.29696560581582333e-7, -5.92017332301610292e-6, 7.16666324522103119e-7,
          3.5144686053003463e-5,   -1.90825847977343311e-6, -2.31094935169459014e-4, 1.33344312409645737e-4,
          1.63081845758870119e-3,  -3.47969236739359515e-3, -7.54018896672679157e-3, 6.03965748909365607e-2,
          -1.86521857959657247e-1, 3.87137400742214541e-1,  -6.07896641971892108e-1, 7.55285130415751493e-1};
      return polynomial<T, 24>(t, c) / (y + four);
    }
  }
};

}  // namespace fc::cpu::FC_ISA
