// winograd_transform.h — the one-dimensional transforms of minimal filtering with six points.
//
// Math       y[i] = Σ_j g[j] · d[i + j], i < m, j < r, m + r = 7, as y = Aᵀ [(G g) ∘ (Bᵀ d)]: six products
//            for m · r. Row p of G evaluates the filter as a polynomial at point p (divided by f_p = Π_q≠p (p
//            − q)), a column of Aᵀ holds that point's powers, Bᵀ belongs to the points alone. So one input
//            transform serves F(4,3), F(2,5) and the weight gradients F(3,4); only the number of taps r and
//            of results m differ.
// Points     0, ±√½, ±√2, ∞. Their products are powers of two, so the transforms are as short as with 0, ±1,
//            ±2, ∞, and the error is half of theirs.
// Source     Winograd 1980, Arithmetic Complexity of Computations; Lavin and Gray,
//            https://arxiv.org/abs/1509.09308; points in ± reciprocal pairs: Alam et al.,
//            https://arxiv.org/abs/2201.10369
#pragma once

#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {

inline constexpr int kWinogradPoints = 6;
inline constexpr int64_t kWinogradPlanes = kWinogradPoints * kWinogradPoints;

// Elements of one plane of a x b. One line more than that keeps planes out of each other's sets in L1 and L2.
template <class T>
constexpr int64_t plane_size(int64_t a, int64_t b) {
  return a * b + 64 / static_cast<int64_t>(sizeof(T));
}

template <class T>
struct WinogradPoint {
  static constexpr T a = T(0.70710678118654752440L), b = T(1.41421356237309504880L);
  static constexpr T aa = T(0.5), bb = T(2);
  // 1 / f_p of ±a and ±b; those of 0 and ∞ are 1.
  static constexpr T scale_a = T(-2.0L / 3), scale_b = T(1.0L / 6);
};

// point^exponent from the point and its square, which is exact.
template <class T>
FC_INLINE constexpr T power(T point, T square, int exponent) {
  T result = exponent % 2 ? point : T(1);
  for (int i = 1; i < exponent; i += 2) result *= square;
  return result;
}

// v = Bᵀ d
template <class T>
FC_INLINE void winograd_input(const Vec<T> (&d)[6], Vec<T> (&v)[6]) {
  using P = WinogradPoint<T>;
  const Vec<T> middle = broadcast(-(P::aa + P::bb)), aa = broadcast(-P::aa), bb = broadcast(-P::bb);
  const Vec<T> a = broadcast(P::a), b = broadcast(P::b);
  const Vec<T> even_a = fma<T>(bb, d[2], d[4]), odd_a = fma<T>(bb, d[1], d[3]);
  const Vec<T> even_b = fma<T>(aa, d[2], d[4]), odd_b = fma<T>(aa, d[1], d[3]);
  v[0] = fma<T>(middle, d[2], d[0]) + d[4];
  v[1] = fma<T>(a, odd_a, even_a);
  v[2] = fma<T>(-a, odd_a, even_a);
  v[3] = fma<T>(b, odd_b, even_b);
  v[4] = fma<T>(-b, odd_b, even_b);
  v[5] = fma<T>(middle, d[3], d[1]) + d[5];
}

// u = G g, of R taps
template <class T, int R>
FC_INLINE void winograd_filter(const Vec<T> (&g)[R], Vec<T> (&u)[6]) {
  using P = WinogradPoint<T>;
  const auto both = [&](T point, T square, T scale, Vec<T>& plus, Vec<T>& minus) {
    Vec<T> even = broadcast(scale) * g[0], odd = broadcast(scale * point) * g[1];
#pragma GCC unroll 4
    for (int j = 2; j < R; ++j) {
      Vec<T>& sum = j % 2 ? odd : even;
      sum = fma<T>(broadcast(scale * power(point, square, j)), g[j], sum);
    }
    plus = even + odd, minus = even - odd;
  };
  u[0] = g[0];
  both(P::a, P::aa, P::scale_a, u[1], u[2]);
  both(P::b, P::bb, P::scale_b, u[3], u[4]);
  u[5] = g[R - 1];
}

// y = Aᵀ m, M results
template <class T, int M>
FC_INLINE void winograd_output(const Vec<T> (&m)[6], Vec<T> (&y)[M]) {
  using P = WinogradPoint<T>;
  const Vec<T> even_a = m[1] + m[2], odd_a = m[1] - m[2], even_b = m[3] + m[4], odd_b = m[3] - m[4];
  y[0] = m[0] + even_a + even_b;
#pragma GCC unroll 4
  for (int i = 1; i < M; ++i) {
    const Vec<T>&at_a = i % 2 ? odd_a : even_a, &at_b = i % 2 ? odd_b : even_b;
    y[i] = fma<T>(broadcast(power(P::a, P::aa, i)), at_a, broadcast(power(P::b, P::bb, i)) * at_b);
  }
  y[M - 1] += m[5];
}

}  // namespace fc::cpu::FC_ISA
