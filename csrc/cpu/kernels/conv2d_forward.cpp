// conv2d_forward.cpp — 2-D cross-correlation, implicit GEMM over pointers; no im2col buffer.
//
// Math       y[n,p,q,k] = act((v − mean[k])·scale[k] + shift[k] + residual[n,p,q,k])
//            v = bias[k] + Σ_{r,s,c} x[n, p·sh−pt+r·dh, q·sw−pl+s·dw, c] · w[r,s,c,k]
// Shapes     x (N,H,W,C)  w (R,S,C/g,K)  bias, mean, scale, shift (K)  residual, y (N,P,Q,K) C-contiguous;
//            all may be null, mean and scale together
// Blocking   rows of the product are the pixels (n,p,q), see igemm.h; numbers in blocking.h
// Threads    over (pixel block, group, filter panels); each y has one writer, so the bits do not depend
//            on their number
// Numerics   one chain of fma per y, ascending in (r,s,c), per lane where igemm_dot.h takes over; then
//            epilogue.h. Bits do not depend on N
// Workspace  conv2d_forward_workspace(spec, threads) bytes: the packed filter, pointers, zeros
// Edges      a tap outside the image is left out: it never turns an infinite weight into NaN
// Source     Dukhan, The Indirect Convolution Algorithm, https://arxiv.org/abs/1907.02129
#include "cpu/kernels/conv2d.h"
#include "cpu/kernels/igemm.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
Igemm<T> problem(const Conv2dSpec& s, const T* x, const T* w, const Epilogue<T>& epilogue, T* y) {
  const ImageRows<T> rows(x, s.N, forward_axis_h(s), forward_axis_w(s), s.C, s.group_channels(), true);
  const int64_t tap = s.group_channels() * s.K;
  return {rows,
          y,
          s.P * s.Q * s.K,
          s.Q * s.K,
          s.K,
          s.groups,
          s.group_filters(),
          {w, rows.merged ? 1 : s.S, s.S * tap, tap, s.K, 1, s.group_filters()},
          epilogue};
}

}  // namespace

template <class T>
size_t conv2d_forward_workspace(const Conv2dSpec& s, int threads) {
  const Conv2dAlgorithm algorithm = conv2d_algorithm<T>(s, Conv2dPass::forward);
  if (algorithm == Conv2dAlgorithm::depthwise) return depthwise_forward_workspace<T>(s, threads);
  const size_t direct = igemm_workspace(problem<T>(s, nullptr, nullptr, {}, nullptr), threads);
  if (algorithm == Conv2dAlgorithm::winograd)
    return either_workspace(winograd_forward_workspace(s, threads), direct);
  if (algorithm == Conv2dAlgorithm::lines)
    return either_workspace(lines_forward_workspace<T>(s, threads), direct);
  if constexpr (kHasAmx) {
    if (algorithm == Conv2dAlgorithm::amx)
      return either_workspace(amx_conv2d_forward_workspace(s, threads), direct);
  }
  return direct;
}

template <class T>
void conv2d_forward(const Conv2dSpec& s, const T* x, const T* w, const T* bias, const T* mean, const T* scale,
                    const T* shift, const T* residual, T* y, const Context& context) {
  const Epilogue<T> epilogue{bias, s.activation, {}, {mean, scale, shift}, {residual, y}};
  const Conv2dAlgorithm algorithm = conv2d_algorithm<T>(s, Conv2dPass::forward);
  if (algorithm == Conv2dAlgorithm::depthwise) return depthwise_forward(s, x, w, epilogue, y, context);
  if constexpr (std::is_same_v<T, float>) {
    if (algorithm == Conv2dAlgorithm::winograd && winograd_forward(s, x, w, epilogue, y, context)) return;
  }
  if (algorithm == Conv2dAlgorithm::lines && lines_forward(s, x, w, epilogue, y, context)) return;
  if constexpr (std::is_same_v<T, float> && kHasAmx) {
    if (algorithm == Conv2dAlgorithm::amx && amx_conv2d_forward(s, x, w, epilogue, y, context)) return;
  }
  igemm(problem(s, x, w, epilogue, y), context);
}

#define FC_INSTANTIATE(T)                                                                              \
  template size_t conv2d_forward_workspace<T>(const Conv2dSpec&, int);                                 \
  template void conv2d_forward<T>(const Conv2dSpec&, const T*, const T*, const T*, const T*, const T*, \
                                  const T*, const T*, T*, const Context&);
FC_INSTANTIATE(float)
FC_F64(FC_INSTANTIATE(double))
#undef FC_INSTANTIATE

}  // namespace fc::cpu::FC_ISA
