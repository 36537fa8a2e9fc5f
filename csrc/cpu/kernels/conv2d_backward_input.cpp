// conv2d_backward_input.cpp — gradient of the input; also the forward pass of a transposed convolution.
//
// Math       dx[n,h,w,c] = Σ_{r,s,k} dy[n,p,q,k] · w[r,s,c,k]
//            over the (r,s) with h = p·sh−pt+r·dh and w = q·sw−pl+s·dw; then the gate's map (gate.h)
// Shapes     dy (N,P,Q,K)  w (R,S,C/g,K)  gate (N,H,W,C) or null  dx (N,H,W,C)     C-contiguous
// Blocking   pixels with equal (h mod sh, w mod sw) are one phase: they share their taps, so a phase is a
//            stride-1 product like the forward one (igemm.h), with w transposed and packed ahead
// Threads    within a phase as forward; each dx has one writer
// Numerics   as forward, ascending in (r,s,k)
// Workspace  conv2d_backward_input_workspace(spec, threads) bytes: a phase's packed filter, then as igemm.h
// Edges      pixels that no tap reaches are zeros, gate or not; a tap outside dy is left out
// Source     phases: Dumoulin and Visin, A guide to convolution arithmetic for deep learning, section 4,
//            https://arxiv.org/abs/1603.07285
#include "cpu/kernels/conv2d.h"
#include "cpu/kernels/igemm.h"
#include "cpu/kernels/phases.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
Igemm<T> problem(const Conv2dSpec& s, const Phase& phase, const T* dy, const T* packed, const T* gate,
                 T* dx) {
  const bool only_phase = s.stride_h == 1 && s.stride_w == 1;
  return {ImageRows<T>(dy, s.N, phase.axis_h.axis, phase.axis_w.axis, s.K, s.group_filters(), only_phase),
          dx + (phase.h * s.W + phase.w) * s.C,
          s.H * s.W * s.C,
          s.stride_h * s.W * s.C,
          s.stride_w * s.C,
          s.groups,
          s.group_channels(),
          {packed, 0},
          {nullptr, {}, {s.activation, gate, dx}}};
}

template <class T>
int64_t packed_size(const Conv2dSpec& s, const Phase& phase) {
  return s.groups * Panels<T>(s.group_channels()).vectors * kLanes<T> * phase.axis_h.axis.taps *
         phase.axis_w.axis.taps * s.group_filters();
}

// packed[group][panel][tap][k][c] = w[r, s, c, group·K/g + k] over the phase's taps
template <class T>
void pack_filter(const Conv2dSpec& s, const Phase& phase, const T* w, T* packed, int threads) {
  const Panels<T> panels(s.group_channels());
  const int64_t taps_w = phase.axis_w.axis.taps, taps = phase.axis_h.axis.taps * taps_w,
                depth = s.group_filters();
  parallel_for(threads, s.groups * panels.count * taps, [&](int64_t task) {
    const int64_t tap = task % taps, panel = task / taps % panels.count, group = task / taps / panels.count;
    const int64_t r = phase.axis_h.first_tap + tap / taps_w * phase.axis_h.tap_stride;
    const int64_t c = phase.axis_w.first_tap + tap % taps_w * phase.axis_w.tap_stride;
    const Range vectors = panels.vectors_of(panel);
    const int64_t width = vectors.size() * kLanes<T>;
    pack_transposed(
        w + ((r * s.S + c) * s.group_channels() + panels.column_of(panel)) * s.K + group * depth, s.K, depth,
        panels.columns_of(panel), width,
        packed + (group * panels.vectors + vectors.begin) * kLanes<T> * taps * depth + tap * depth * width);
  });
}

}  // namespace

template <class T>
size_t conv2d_backward_input_workspace(const Conv2dSpec& s, int threads) {
  const Conv2dAlgorithm algorithm = conv2d_algorithm<T>(s, Conv2dPass::backward_input);
  if (algorithm == Conv2dAlgorithm::depthwise) return depthwise_backward_input_workspace<T>(s, threads);
  if (algorithm == Conv2dAlgorithm::winograd) return winograd_backward_input_workspace(s, threads);
  size_t bytes = 0;
  for_each_phase(s, [&](const Phase& phase) {
    WorkspaceCutter cutter(nullptr);
    cutter.take<T>(packed_size<T>(s, phase));
    const size_t need =
        cutter.bytes() + igemm_workspace(problem<T>(s, phase, nullptr, nullptr, nullptr, nullptr), threads);
    if (need > bytes) bytes = need;
  });
  return bytes;
}

template <class T>
void conv2d_backward_input(const Conv2dSpec& s, const T* dy, const T* w, const T* gate, T* dx,
                           const Context& context) {
  const Conv2dAlgorithm algorithm = conv2d_algorithm<T>(s, Conv2dPass::backward_input);
  if (algorithm == Conv2dAlgorithm::depthwise) return depthwise_backward_input(s, dy, w, gate, dx, context);
  if constexpr (std::is_same_v<T, float>) {
    if (algorithm == Conv2dAlgorithm::winograd) return winograd_backward_input(s, dy, w, gate, dx, context);
  }
  clear_unreached(s, dx, context.threads);
  for_each_phase(s, [&](const Phase& phase) {
    WorkspaceCutter cutter(context.workspace);
    T* packed = cutter.take<T>(packed_size<T>(s, phase));
    pack_filter(s, phase, w, packed, context.threads);
    igemm(problem(s, phase, dy, packed, gate, dx), {reinterpret_cast<void*>(cutter.end()), context.threads});
  });
}

#define FC_INSTANTIATE(T)                                                     \
  template size_t conv2d_backward_input_workspace<T>(const Conv2dSpec&, int); \
  template void conv2d_backward_input<T>(const Conv2dSpec&, const T*, const T*, const T*, T*, const Context&);
FC_INSTANTIATE(float)
FC_INSTANTIATE(double)
#undef FC_INSTANTIATE

}  // namespace fc::cpu::FC_ISA
