// depthwise_backward_input.cpp — gradient of a depthwise convolution's input.
//
// Math       dx[n,h,w,c] = Σ_{r,s,i} dy[n,p,q,c·m+i] · w[r,s,0,c·m+i]
//            over the (r,s) with h = p·sh−pt+r·dh and w = q·sw−pl+s·dw; then addend and gate (epilogue.h)
// Shapes     dy (N,P,Q,K)  w (R,S,1,K)  dx (N,H,W,C)   m = K/C     C-contiguous
// Blocking   pixels with equal (w mod sw) are one phase (phases.h); each phase of a line as in depthwise.h
// Threads    over lines (n,h)
// Numerics   per filter one chain of fma, ascending in r and descending in s; then the m sums in ascending order
// Workspace  depthwise_backward_input_workspace(spec, threads) bytes: phases, line pointers; for m > 1 a
//            line of K channels
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

// The pixels of one phase of a line; `h` is the line's phase.
template <class T>
void backward_pixels(const Conv2dSpec& s, const PhaseAxis& h, const PhaseAxis& v, const T* w,
                     const Scratch<T>& scratch, T* dx) {
  const int64_t multiplier = s.K / s.C, last_tap = v.first_tap + (v.axis.taps - 1) * v.tap_stride;
  DepthwiseLine<T> line{scratch.lines,
                        h.axis.taps,
                        v.axis.ascending(),
                        s.K,
                        w + (h.first_tap * s.S + last_tap) * s.K,
                        h.tap_stride * s.S * s.K,
                        -v.tap_stride * s.K,
                        dx,
                        s.stride_w * s.C,
                        {},
                        newest_rows<T>(h.axis, v.axis, s.N * s.P * s.Q * s.K)};
  if (multiplier == 1) return depthwise_line(line);
  line.out = scratch.sums, line.out_step = s.K;
  depthwise_line(line);
  for (int64_t j = 0; j < v.axis.positions; ++j)
    sum_multiples(scratch.sums + j * s.K, s.C, multiplier, dx + j * s.stride_w * s.C);
}

template <class T>
struct Workspace {
  PhaseAxis* phases;  // of a line's pixels
  int64_t count;
  SlotWorkspace slots;

  Workspace(const Conv2dSpec& s, int threads, void* base) : count(min_of(s.stride_w, s.W)) {
    WorkspaceCutter cutter(base), one(nullptr);
    phases = cutter.take<PhaseAxis>(count);
    Scratch<T>(s, one);
    slots = SlotWorkspace(cutter, one.bytes(), threads);
  }
};

}  // namespace

template <class T>
size_t depthwise_backward_input_workspace(const Conv2dSpec& s, int threads) {
  return Workspace<T>(s, threads, nullptr).slots.total_bytes;
}

template <class T>
void depthwise_backward_input(const Conv2dSpec& s, const T* dy, const T* w, const Epilogue<T>& epilogue,
                              T* dx, const Context& context) {
  const Workspace<T> workspace(s, context.threads, context.workspace);
  for (int64_t i = 0; i < workspace.count; ++i) workspace.phases[i] = phase_axis(forward_axis_w(s), i);
  parallel_for_slots(context.threads, s.N * s.H, [&](int64_t task, int slot) {
    const int64_t n = task / s.H, i = task % s.H / s.stride_h;
    const PhaseAxis h = phase_axis(forward_axis_h(s), task % s.H % s.stride_h);
    WorkspaceCutter cutter = workspace.slots.at(slot);
    const Scratch<T> scratch(s, cutter);
    point_lines<T>(dy + n * s.P * s.Q * s.K, h.axis, i, s.Q, s.K, 1, nullptr, scratch.lines);
    T* const line = dx + task * s.W * s.C;
    for (int64_t v = 0; v < workspace.count; ++v)
      backward_pixels(s, h, workspace.phases[v], w, scratch, line + v * s.C);
    epilogue.finish_gradient(line, s.W * s.C);
  });
}

#define FC_INSTANTIATE(T)                                                                                  \
  template size_t depthwise_backward_input_workspace<T>(const Conv2dSpec&, int);                           \
  template void depthwise_backward_input<T>(const Conv2dSpec&, const T*, const T*, const Epilogue<T>&, T*, \
                                            const Context&);
FC_INSTANTIATE(float)
FC_F64(FC_INSTANTIATE(double))
#undef FC_INSTANTIATE

}  // namespace fc::cpu::FC_ISA
