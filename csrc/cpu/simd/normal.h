// normal.h — the standard normal distribution, which gelu is made of.
//
// Two ways, with the same interface: a formula for every type and ISA, and polynomial pieces picked out of
// tables where a register holds the 16 numbers that one instruction picks from. Largest errors found, in units
// in the last place (tests/test_math.py): of the cdf by formula 5.6, by pieces 2.5.
// Source  Shepherd and Laframboise 1981 for the formula's tail
#pragma once

#include "cpu/simd/math.h"
#include "cpu/simd/normal_pieces.h"

namespace fc::cpu::FC_ISA {

template <class T>
struct NormalSeries;

template <>
struct NormalSeries<float> {
  static constexpr float kFar = 15;  // the density and the tail underflow here
  // Normal::scaled_tail's p for 0 <= y <= kFar: of least relative error, 1.6e-8 (Remez)
  static constexpr float kTailScale = 2.5;
  static constexpr double kTail[] = {-0.0001577022907, -0.0003116227678, 0.0006844126639, 0.002523932633,
                                     -0.001600830031,  -0.01638618545,   0.009235875739,  0.1319869788,
                                     -0.4336920123,    0.7066566599};
};

template <>
struct NormalSeries<double> {
  static constexpr double kFar = 39;
  static constexpr double kTailScale = 3;
  static constexpr double kTail[] = {
      -4.74752149461479837e-9,   -1.29864179518211163e-8,  1.65625516139757584e-8,  9.43111148998675244e-8,
      5.65296348075051944e-8,    -2.7238682545366292e-7,   -6.06748698360065271e-7, 7.63519036329716096e-9,
      2.26498313555078379e-6,    3.64009645554431594e-6,   -3.52113422779150098e-6, -0.0000206891407531684286,
      -0.0000132451243696777468, 0.0000788126747711457111, 0.000154394305730541736, -0.000256575347499829867,
      -0.00104582860520508545,   0.00102759225926909879,   0.00697262123936079368,  -0.0104628670233191334,
      -0.0472630251429388567,    0.230017719974603806,     -0.50933198191748976,    0.729083690133372996};
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

// f(x) by tail = f(-|x|), where f(x) + f(-x) = 1.
template <class T>
FC_INLINE Vec<T> from_lower_tail(Vec<T> x, Vec<T> tail) {
  return x < zero<T>() ? tail : broadcast(T(1)) - tail;
}

// By formula: the cumulative distribution at x, and the derivative of x cdf(x), which is 0 and 1 far out.
template <class T>
struct Normal {
  Vec<T> cdf, gelu_slope;

  FC_INLINE explicit Normal(Vec<T> x) {
    const Vec<T> y = min_or_second<T>(broadcast(NormalSeries<T>::kFar), magnitude<T>(x));
    const Vec<T> bell = bell_curve(y);
    const Vec<T> tail = bell * scaled_tail(y), density = bell * broadcast(T(0.39894228040143267794));
    cdf = from_lower_tail<T>(x, tail);
    gelu_slope = from_lower_tail<T>(x, fma<T>(-y, density, tail));
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
    constexpr T k = NormalSeries<T>::kTailScale;
    const Vec<T> r = broadcast(T(1)) / (y + broadcast(k));
    const Vec<T> t = fma<T>(broadcast(-2 * k), r, broadcast(T(1)));
    return polynomial<T>(t, NormalSeries<T>::kTail) * r;
  }
};

#if FC_VECTOR_BYTES == 64 && defined(__AVX512F__)
// f(x), where f(x) + f(-x) = 1 and the table has the pieces of f(-y), 0 <= y <= kEnd. Further out far(x, f)
// puts it right; that is rare, hence a call, and only where a lane needs it.
template <class Far>
FC_INLINE Vec<float> by_pieces(Vec<float> x, const NormalPieces::Table& table, const Far& far) {
  using P = NormalPieces;
  const Vec<float> y = min_or_second<float>(broadcast(P::kEnd), magnitude<float>(x));
  // Added to 2^23 a number leaves its whole part in the lowest bits, five of which the instruction reads.
  const Vec<float> slope = fma<float>(y, broadcast(P::kSquare), broadcast(P::kLinear));
  const auto piece = (__m512i)fma<float>(y, slope, broadcast(0x1p23f));
  const auto pick = [piece](const float* row) __attribute__((always_inline)) {
    const auto low = (__m512)load(row), high = (__m512)load(row + kLanes<float>);
    return (Vec<float>)_mm512_permutex2var_ps(low, piece, high);
  };
  const Vec<float> offset = y - pick(P::kCentre);
  Vec<float> tail = pick(table[0]);
#pragma GCC unroll 7
  for (int i = 1; i < P::kTerms; ++i) tail = fma<float>(tail, offset, pick(table[i]));
  const Vec<float> f = from_lower_tail<float>(x, tail);
  const bool all_near = _mm512_cmp_ps_mask((__m512)x, (__m512)broadcast(-P::kEnd), _CMP_LT_OQ) == 0;
  return __builtin_expect(all_near, true) ? f : far(x, f);
}

[[gnu::noinline, gnu::cold]] inline Vec<float> with_far_cdf(Vec<float> x, Vec<float> near) {
  return x < broadcast(-NormalPieces::kEnd) ? Normal<float>(x).cdf : near;
}
[[gnu::noinline, gnu::cold]] inline Vec<float> with_far_gelu_slope(Vec<float> x, Vec<float> near) {
  return x < broadcast(-NormalPieces::kEnd) ? Normal<float>(x).gelu_slope : near;
}
#endif

template <class T>
FC_INLINE Vec<T> normal_cdf(Vec<T> x) {
#if FC_VECTOR_BYTES == 64 && defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) return by_pieces(x, NormalPieces::kCdf, with_far_cdf);
#endif
  return Normal<T>(x).cdf;
}

// The derivative of x normal_cdf(x).
template <class T>
FC_INLINE Vec<T> gelu_slope(Vec<T> x) {
#if FC_VECTOR_BYTES == 64 && defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) return by_pieces(x, NormalPieces::kSlope, with_far_gelu_slope);
#endif
  return Normal<T>(x).gelu_slope;
}

}  // namespace fc::cpu::FC_ISA
