// winograd_conv2d.cpp — a convolution's forward and backward-input as problems of winograd.h or,
// of few tiles, of winograd_few.h.
//
// Math       forward: as conv2d_forward.cpp. Backward-input: the forward of dy with the filter turned by 180
//            degrees, channels and filters swapped, and R − 1 − pad rows and columns of padding
// Shapes     as conv2d_forward.cpp and conv2d_backward_input.cpp; 3×3 and 5×5, stride 1, no dilation, one
//            group
#include "cpu/kernels/conv2d.h"
#include "cpu/kernels/conv2d_algorithm.h"
#include "cpu/kernels/winograd.h"
#include "cpu/kernels/winograd_few.h"

namespace fc::cpu::FC_ISA {
namespace {

Winograd<float> forward_problem(const Conv2dSpec& s, const float* x, const float* w,
                                const Epilogue<float>& epilogue, float* y) {
  return {x, s.N, s.H, s.W, s.C, y, s.P, s.Q, s.K, s.pad_top, s.pad_left, {w, false}, epilogue};
}

Winograd<float> backward_problem(const Conv2dSpec& s, const float* dy, const float* w,
                                 const Epilogue<float>& epilogue, float* dx) {
  return {dy,        s.N,     s.P, s.Q, s.K, dx, s.H, s.W, s.C, s.R - 1 - s.pad_top, s.S - 1 - s.pad_left,
          {w, true}, epilogue};
}

template <int M>
bool few(const Winograd<float>& p) {
  return has_few_tiles(WinogradTiles(p.N, p.P, p.Q, M).count, p.C, p.K);
}

template <int M>
size_t workspace(const Winograd<float>& p, int threads) {
  return few<M>(p) ? winograd_few_workspace<float, M>(p, threads) : winograd_workspace<float, M>(p, threads);
}

template <int M>
bool run(const Winograd<float>& p, const Context& context) {
  return few<M>(p) ? winograd_few<float, M>(p, context) : winograd<float, M>(p, context);
}

size_t workspace(const Conv2dSpec& s, const Winograd<float>& p, int threads) {
  return s.R == 3 ? workspace<4>(p, threads) : workspace<2>(p, threads);
}

bool run(const Conv2dSpec& s, const Winograd<float>& p, const Context& context) {
  return s.R == 3 ? run<4>(p, context) : run<2>(p, context);
}

}  // namespace

size_t winograd_forward_workspace(const Conv2dSpec& s, int threads) {
  return workspace(s, forward_problem(s, nullptr, nullptr, {}, nullptr), threads);
}
bool winograd_forward(const Conv2dSpec& s, const float* x, const float* w, const Epilogue<float>& epilogue,
                      float* y, const Context& context) {
  return run(s, forward_problem(s, x, w, epilogue, y), context);
}

size_t winograd_backward_input_workspace(const Conv2dSpec& s, int threads) {
  return workspace(s, backward_problem(s, nullptr, nullptr, {}, nullptr), threads);
}
bool winograd_backward_input(const Conv2dSpec& s, const float* dy, const float* w,
                             const Epilogue<float>& epilogue, float* dx, const Context& context) {
  return run(s, backward_problem(s, dy, w, epilogue, dx), context);
}

}  // namespace fc::cpu::FC_ISA
