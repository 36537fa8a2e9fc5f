// depthwise_backward_input.cpp — gradient of a depthwise convolution's input.
//
// Math       dx[n,h,w,c] = Σ_{r,s,i} dy[n,p,q,c·m+i] · w[r,s,0,c·m+i]
//            over the (r,s) with h = p·sh−pt+r·dh and w = q·sw−pl+s·dw; then addend and gate (epilogue.h)
// Shapes     dy (N,P,Q,K)  w (R,S,1,K)  dx (N,H,W,C)   m = K/C     C-contiguous
// Blocking   phases as in conv2d_backward_input.cpp; each line as in depthwise.h
// Threads    over lines (n,h) of a phase
// Numerics   per filter one chain of fma, ascending in (r,s); then the m sums in ascending order
// Workspace  depthwise_backward_input_workspace(spec, threads) bytes: line pointers; for m > 1 a line of
//            K channels
// Edges      taps outside dy are left out; pixels that no tap reaches are sums of nothing
#include "cpu/kernels/conv2d.h"
#include "cpu/kernels/depthwise.h"
#include "cpu/kernels/phases.h"
#include "cpu/kernels/workspace.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
struct Scratch {
  const T** lines;
  T* sums;

  Scratch(const Conv2dSpec& s, WorkspaceCutter& cutter)
      : lines(cutter.take<const T*>(s.R)), sums(cutter.take<T>(s.K > s.C ? s.W * s.K : 0)) {}
};

// to[i] = Σ_m from[i·multiplier + m]
template <class T>
void sum_multiples(const T* from, int64_t n, int64_t multiplier, T* to) {
  for (int64_t i = 0; i < n; ++i) {
    T total = *from++;
    for (int64_t m = 1; m < multiplier; ++m) total += *from++;
    to[i] = total;
  }
}

template <class T>
void backward_line(const Conv2dSpec& s, const Phase& phase, const T* w, const Scratch<T>& scratch,
                   const Epilogue<T>& epilogue, T* dx) {
  const int64_t multiplier = s.K / s.C;
  const PhaseAxis &h = phase.axis_h, &v = phase.axis_w;
  DepthwiseLine<T> line{scratch.lines,
                        h.axis.taps,
                        v.axis,
                        s.K,
                        w + (h.first_tap * s.S + v.first_tap) * s.K,
                        h.tap_stride * s.S * s.K,
                        v.tap_stride * s.K,
                        dx,
                        s.stride_w * s.C,
                        {},
                        newest_rows<T>(h.axis, v.axis, s.N * s.P * s.Q * s.K)};
  if (multiplier > 1) line.out = scratch.sums, line.out_step = s.K;
  depthwise_line(line);
  if (multiplier > 1) {
    for (int64_t j = 0; j < v.axis.positions; ++j) {
      sum_multiples(scratch.sums + j * s.K, s.C, multiplier, dx + j * s.stride_w * s.C);
    }
  }
  if (s.stride_w == 1) return epilogue.finish_gradient(dx, v.axis.positions * s.C);
  for (int64_t j = 0; j < v.axis.positions; ++j) epilogue.finish_gradient(dx + j * s.stride_w * s.C, s.C);
}

}  // namespace

template <class T>
size_t depthwise_backward_input_workspace(const Conv2dSpec& s, int threads) {
  WorkspaceCutter one(nullptr);
  Scratch<T>(s, one);
  return SlotWorkspace(WorkspaceCutter(nullptr), one.bytes(), threads).total_bytes;
}

template <class T>
void depthwise_backward_input(const Conv2dSpec& s, const T* dy, const T* w, const Epilogue<T>& epilogue,
                              T* dx, const Context& context) {
  WorkspaceCutter one(nullptr);
  Scratch<T>(s, one);
  const SlotWorkspace slots(WorkspaceCutter(context.workspace), one.bytes(), context.threads);
  fill_unreached(s, epilogue, dx, context.threads);
  for_each_phase(s, [&](const Phase& phase) {
    const Axis& h = phase.axis_h.axis;
    parallel_for_slots(context.threads, s.N * h.positions, [&](int64_t task, int slot) {
      const int64_t n = task / h.positions, i = task % h.positions;
      WorkspaceCutter cutter = slots.at(slot);
      const Scratch<T> scratch(s, cutter);
      point_lines<T>(dy + n * s.P * s.Q * s.K, h, i, s.Q, s.K, 1, nullptr, scratch.lines);
      T* out = dx + ((n * s.H + phase.h + i * s.stride_h) * s.W + phase.w) * s.C;
      backward_line(s, phase, w, scratch, epilogue, out);
    });
  });
}

#define FC_INSTANTIATE(T)                                                                                  \
  template size_t depthwise_backward_input_workspace<T>(const Conv2dSpec&, int);                           \
  template void depthwise_backward_input<T>(const Conv2dSpec&, const T*, const T*, const Epilogue<T>&, T*, \
                                            const Context&);
FC_INSTANTIATE(float)
FC_INSTANTIATE(double)
#undef FC_INSTANTIATE

}  // namespace fc::cpu::FC_ISA
