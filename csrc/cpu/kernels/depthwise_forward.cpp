// depthwise_forward.cpp — convolution with one input channel per group.
//
// Math       y[n,p,q,c·m+i] = epilogue(Σ_{r,s} x[n, p·sh−pt+r·dh, q·sw−pl+s·dw, c] · w[r,s,0,c·m+i])
// Shapes     x (N,H,W,C)  w (R,S,1,K)  y (N,P,Q,K)   m = K/C     C-contiguous
// Blocking   see depthwise.h; a line's R input lines stay in L2 for the next one
// Threads    over lines (n,p)
// Numerics   one chain of fma per y, ascending in (r,s); then epilogue.h
// Workspace  depthwise_forward_workspace(spec, threads) bytes: line pointers; for m > 1 the R lines with
//            repeated channels
// Edges      taps outside the image are left out
#include "cpu/kernels/conv2d.h"
#include "cpu/kernels/depthwise.h"
#include "cpu/kernels/workspace.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
struct Scratch {
  const T** lines;
  T* repeated;

  Scratch(const Conv2dSpec& s, WorkspaceCutter& cutter)
      : lines(cutter.take<const T*>(s.R)), repeated(cutter.take<T>(s.K > s.C ? s.R * s.W * s.K : 0)) {}
};

}  // namespace

template <class T>
size_t depthwise_forward_workspace(const Conv2dSpec& s, int threads) {
  WorkspaceCutter one(nullptr);
  Scratch<T>(s, one);
  return SlotWorkspace(WorkspaceCutter(nullptr), one.bytes(), threads).total_bytes;
}

template <class T>
void depthwise_forward(const Conv2dSpec& s, const T* x, const T* w, const Epilogue<T>& epilogue, T* y,
                       const Context& context) {
  WorkspaceCutter one(nullptr);
  Scratch<T>(s, one);
  const SlotWorkspace slots(WorkspaceCutter(context.workspace), one.bytes(), context.threads);
  const Axis axis_h = forward_axis_h(s), axis_w = forward_axis_w(s);
  const Range newest = newest_rows_of_x<T>(s, axis_h, axis_w);

  parallel_for_slots(context.threads, s.N * s.P, [&](int64_t task, int slot) {
    WorkspaceCutter cutter = slots.at(slot);
    const Scratch<T> scratch(s, cutter);
    point_lines(x + task / s.P * s.H * s.W * s.C, axis_h, task % s.P, s.W, s.C, s.K / s.C, scratch.repeated,
                scratch.lines);
    T* out = y + task * s.Q * s.K;
    depthwise_line<T>({scratch.lines, s.R, axis_w, s.K, w, s.S * s.K, s.K, out, s.K, epilogue, newest});
    epilogue.finish(&out, 1, 0, s.Q * s.K);
  });
}

#define FC_INSTANTIATE(T)                                                                           \
  template size_t depthwise_forward_workspace<T>(const Conv2dSpec&, int);                           \
  template void depthwise_forward<T>(const Conv2dSpec&, const T*, const T*, const Epilogue<T>&, T*, \
                                     const Context&);
FC_INSTANTIATE(float)
FC_F64(FC_INSTANTIATE(double))
#undef FC_INSTANTIATE

}  // namespace fc::cpu::FC_ISA
