// winograd_adjoint.h — the transposed transforms of winograd_transform.h, which filter gradients need.
//
// Math       y = Aᵀ [(G g) ∘ (Bᵀ d)]  has the gradient  dg = Gᵀ [(A dy) ∘ (Bᵀ d)]
#pragma once

#include "cpu/kernels/winograd_transform.h"

namespace fc::cpu::FC_ISA {

// v = A dy: the polynomial with the coefficients dy at every point.
template <class T, int M>
FC_INLINE void winograd_output_adjoint(const Vec<T> (&dy)[M], Vec<T> (&v)[6]) {
  using P = WinogradPoint<T>;
  const auto both = [&](T point, T square, Vec<T>& plus, Vec<T>& minus) {
    Vec<T> even = dy[0], odd = dy[1];
    if constexpr (M > 2) even = fma<T>(broadcast(square), dy[2], even);
    if constexpr (M > 3) odd = fma<T>(broadcast(square), dy[3], odd);
    static_assert(M <= 4);
    plus = fma<T>(broadcast(point), odd, even), minus = fma<T>(broadcast(-point), odd, even);
  };
  v[0] = dy[0];
  both(P::a, P::aa, v[1], v[2]);
  both(P::b, P::bb, v[3], v[4]);
  v[5] = dy[M - 1];
}

// dg = Gᵀ u, of R taps
template <class T, int R>
FC_INLINE void winograd_filter_adjoint(const Vec<T> (&u)[6], Vec<T> (&dg)[R]) {
  using P = WinogradPoint<T>;
  const Vec<T> even_a = u[1] + u[2], odd_a = u[1] - u[2], even_b = u[3] + u[4], odd_b = u[3] - u[4];
#pragma GCC unroll 5
  for (int j = 0; j < R; ++j) {
    const Vec<T>&at_a = j % 2 ? odd_a : even_a, &at_b = j % 2 ? odd_b : even_b;
    dg[j] = broadcast(P::scale_b * power(P::b, P::bb, j)) * at_b;
    dg[j] = fma<T>(broadcast(P::scale_a * power(P::a, P::aa, j)), at_a, dg[j]);
  }
  dg[0] += u[0];
  dg[R - 1] += u[5];
}

}  // namespace fc::cpu::FC_ISA
