// conv2d_backward_input.cpp — gradient of the input; also the forward pass of a transposed convolution.
//
// Math       dx[n,h,w,c] = Σ_{r,s,k} dy[n,p,q,k] · w[r,s,c,k]
//            over the (r,s) with h = p·sh−pt+r·dh and w = q·sw−pl+s·dw; then + addend, and the gate's map
//            (gate.h)
// Shapes     dy (N,P,Q,K)  w (R,S,C/g,K)  gate, addend (N,H,W,C) or null  dx (N,H,W,C)     C-contiguous
// Blocking   pixels with equal (h mod sh, w mod sw) are one phase: they share their taps, so a phase is a
//            stride-1 product like the forward one (igemm.h), with w transposed as it is packed
// Threads    within a phase as forward; each dx has one writer
// Numerics   as forward, ascending in (r,s,k)
// Workspace  conv2d_backward_input_workspace(spec, threads) bytes: the largest phase's, see igemm.h
// Edges      pixels that no tap reaches are sums of nothing; a tap outside dy is left out
// Source     phases: Dumoulin and Visin, A guide to convolution arithmetic for deep learning, section 4,
//            https://arxiv.org/abs/1603.07285
#include "cpu/kernels/conv2d.h"
#include "cpu/kernels/igemm.h"
#include "cpu/kernels/phases.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
Igemm<T> problem(const Conv2dSpec& s, const Phase& phase, const T* dy, const T* w,
                 const Epilogue<T>& epilogue, T* dx) {
  const bool only_phase = s.stride_h == 1 && s.stride_w == 1;
  const int64_t tap = s.group_channels() * s.K;
  const PhaseAxis &h = phase.axis_h, &v = phase.axis_w;
  return {ImageRows<T>(dy, s.N, phase.axis_h.axis, phase.axis_w.axis, s.K, s.group_filters(), only_phase),
          dx + (phase.h * s.W + phase.w) * s.C,
          s.H * s.W * s.C,
          s.stride_h * s.W * s.C,
          s.stride_w * s.C,
          s.groups,
          s.group_channels(),
          {w + (h.first_tap * s.S + v.first_tap) * tap, v.axis.taps, h.tap_stride * s.S * tap,
           v.tap_stride * tap, 1, s.K, s.group_filters()},
          epilogue};
}

}  // namespace

template <class T>
size_t conv2d_backward_input_workspace(const Conv2dSpec& s, int threads) {
  const Conv2dAlgorithm algorithm = conv2d_algorithm<T>(s, Conv2dPass::backward_input);
  if (algorithm == Conv2dAlgorithm::depthwise) return depthwise_backward_input_workspace<T>(s, threads);
  if (algorithm == Conv2dAlgorithm::col2im) return col2im_backward_input_workspace(s, threads);
  size_t bytes = 0;
  for_each_phase(s, [&](const Phase& phase) {
    const size_t need = igemm_workspace(problem<T>(s, phase, nullptr, nullptr, {}, nullptr), threads);
    if (need > bytes) bytes = need;
  });
  if (algorithm == Conv2dAlgorithm::winograd)
    return either_workspace(winograd_backward_input_workspace(s, threads), bytes);
  if constexpr (kHasAmx) {
    if (algorithm == Conv2dAlgorithm::amx)
      return either_workspace(amx_conv2d_backward_input_workspace(s, threads), bytes);
  }
  return bytes;
}

template <class T>
void conv2d_backward_input(const Conv2dSpec& s, const T* dy, const T* w, const T* gate, const T* addend,
                           T* dx, const Context& context) {
  const Epilogue<T> epilogue{nullptr, {}, {s.activation, gate, dx}, {}, {addend, dx}};
  const Conv2dAlgorithm algorithm = conv2d_algorithm<T>(s, Conv2dPass::backward_input);
  if (algorithm == Conv2dAlgorithm::depthwise)
    return depthwise_backward_input(s, dy, w, epilogue, dx, context);
  if constexpr (std::is_same_v<T, float>) {
    if (algorithm == Conv2dAlgorithm::col2im) return col2im_backward_input(s, dy, w, epilogue, dx, context);
    if (algorithm == Conv2dAlgorithm::winograd && winograd_backward_input(s, dy, w, epilogue, dx, context))
      return;
  }
  if constexpr (std::is_same_v<T, float> && kHasAmx) {
    if (algorithm == Conv2dAlgorithm::amx && amx_conv2d_backward_input(s, dy, w, epilogue, dx, context))
      return;
  }
  fill_unreached(s, epilogue, dx, context.threads);
  for_each_phase(s, [&](const Phase& phase) { igemm(problem(s, phase, dy, w, epilogue, dx), context); });
}

#define FC_INSTANTIATE(T)                                                                               \
  template size_t conv2d_backward_input_workspace<T>(const Conv2dSpec&, int);                           \
  template void conv2d_backward_input<T>(const Conv2dSpec&, const T*, const T*, const T*, const T*, T*, \
                                         const Context&);
FC_INSTANTIATE(float)
FC_F64(FC_INSTANTIATE(double))
#undef FC_INSTANTIATE

}  // namespace fc::cpu::FC_ISA
