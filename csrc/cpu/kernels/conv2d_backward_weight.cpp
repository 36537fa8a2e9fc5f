// conv2d_backward_weight.cpp — gradients of the filter and of the bias.
//
// Math       dw[r,s,c,k] = Σ_{n,p,q} x[n, p·sh−pt+r·dh, q·sw−pl+s·dw, c] · dy[n,p,q,k]
//            dbias[k] = Σ_{n,p,q} dy[n,p,q,k]
// Shapes     x (N,H,W,C)  dy (N,P,Q,K)  dw (R,S,C/g,K)  dbias (K) or null     C-contiguous
// Blocking   outer products of pixel rows, see igemm_weight.h, of lines, see lines_backward_weight.cpp, of
//            transformed tiles, see winograd_weight.h, or of AMX tiles, see amx_conv2d.cpp; which:
//            conv2d_algorithm.h; numbers: blocking.h
// Threads    over (pixel chunk, group, part of dw); chunks by shape alone, added in a fixed tree
// Numerics   fma ascending in (n,p,q) within a chunk, then the tree; the others' published bounds in fast
//            precision
// Workspace  conv2d_backward_weight_workspace(spec, threads) bytes: pointers, panels of dy, a dw per chunk
// Edges      a tap outside the image is left out; an empty batch gives zeros
// Source     rows by pointer: Dukhan, https://arxiv.org/abs/1907.02129
#include "cpu/kernels/conv2d.h"
#include "cpu/kernels/igemm_weight.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
IgemmWeight<T> problem(const Conv2dSpec& s, const T* x, const T* dy, T* dw, T* dbias) {
  return {ImageRows<T>(x, s.N, forward_axis_h(s), forward_axis_w(s), s.C, s.group_channels(), true),
          dy,
          s.groups,
          s.group_filters(),
          dw,
          dbias};
}

}  // namespace

template <class T>
size_t conv2d_backward_weight_workspace(const Conv2dSpec& s, int threads) {
  const Conv2dAlgorithm algorithm = conv2d_algorithm<T>(s, Conv2dPass::backward_weight);
  if (algorithm == Conv2dAlgorithm::depthwise) return depthwise_backward_weight_workspace<T>(s, threads);
  const size_t direct = igemm_weight_workspace(problem<T>(s, nullptr, nullptr, nullptr, nullptr), threads);
  if (algorithm == Conv2dAlgorithm::direct) return direct;
  if (algorithm == Conv2dAlgorithm::lines) {
    return either_workspace(direct, lines_backward_weight_workspace<T>(s, threads));
  }
  if constexpr (kHasAmx) {
    if (algorithm == Conv2dAlgorithm::amx) {
      return either_workspace(direct, amx_conv2d_backward_weight_workspace(s, threads));
    }
  }
  return either_workspace(direct, winograd_backward_weight_workspace(s, threads));
}

template <class T>
void conv2d_backward_weight(const Conv2dSpec& s, const T* x, const T* dy, T* dw, T* dbias,
                            const Context& context) {
  const Conv2dAlgorithm algorithm = conv2d_algorithm<T>(s, Conv2dPass::backward_weight);
  if (algorithm == Conv2dAlgorithm::depthwise) return depthwise_backward_weight(s, x, dy, dw, dbias, context);
  if (algorithm == Conv2dAlgorithm::lines && lines_backward_weight(s, x, dy, dw, dbias, context)) return;
  if constexpr (std::is_same_v<T, float>) {
    if constexpr (kHasAmx) {
      if (algorithm == Conv2dAlgorithm::amx && amx_conv2d_backward_weight(s, x, dy, dw, dbias, context))
        return;
    }
    // Transforms spread infinities and NaN, and overflow before the sums do: such a result is computed anew.
    if (algorithm == Conv2dAlgorithm::winograd && winograd_backward_weight(s, x, dy, dw, dbias, context))
      return;
  }
  igemm_weight(problem(s, x, dy, dw, dbias), context);
}

#define FC_INSTANTIATE(T)                                                      \
  template size_t conv2d_backward_weight_workspace<T>(const Conv2dSpec&, int); \
  template void conv2d_backward_weight<T>(const Conv2dSpec&, const T*, const T*, T*, T*, const Context&);
FC_INSTANTIATE(float)
FC_F64(FC_INSTANTIATE(double))
#undef FC_INSTANTIATE

}  // namespace fc::cpu::FC_ISA
