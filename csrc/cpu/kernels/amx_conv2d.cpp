// amx_conv2d.cpp — a convolution's products on AMX tiles.
//
// Math       as conv2d_forward.cpp, conv2d_backward_input.cpp and conv2d_backward_weight.cpp
// Blocking   amx_conv.h, few channels folded or in runs of taps (amx_arranged.h); backward-input by phases,
//            as conv2d_backward_input.cpp, few channels side by side (amx_side_by_side.h); weights:
//            amx_conv_weight.h, of few channels amx_lines_weight.h
// Numerics   as amx_tile.h; tiny numbers and small integers as there
// Edges      false where amx_conv.h refuses the operands. Sums are gathered of one group, backwards also of
//            stride 1 only: one phase then has all results
#include "cpu/kernels/amx_conv_weight.h"
#include "cpu/kernels/amx_lines_weight.h"
#include "cpu/kernels/amx_side_by_side.h"
#include "cpu/kernels/conv2d.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class Grid>
AmxConv<Grid> forward_problem(const Conv2dSpec& s, const float* x, const float* w,
                              const Epilogue<float>& epilogue, float* y, const Gather& gather = {}) {
  const ImageRows<float> rows(x, s.N, forward_axis_h(s), forward_axis_w(s), s.C, s.group_channels(), false);
  const int64_t tap = s.group_channels() * s.K;
  return {{rows, y, s.P * s.Q * s.K, s.Q * s.K, s.K, s.groups, s.group_filters(), {}, epilogue},
          Grid(rows, amx_parts(s.numerics)),
          {w, 1, s.K, s.group_filters(), 0, s.S * tap, tap},
          gather};
}

template <class Grid>
AmxConv<Grid> backward_problem(const Conv2dSpec& s, const Phase& phase, const float* dy, const float* w,
                               const Epilogue<float>& epilogue, float* dx, const Gather& gather = {}) {
  const ImageRows<float> rows(dy, s.N, phase.axis_h.axis, phase.axis_w.axis, s.K, s.group_filters(), false);
  const int64_t tap = s.group_channels() * s.K;
  return {{rows,
           dx + (phase.h * s.W + phase.w) * s.C,
           s.H * s.W * s.C,
           s.stride_h * s.W * s.C,
           s.stride_w * s.C,
           s.groups,
           s.group_channels(),
           {},
           epilogue},
          Grid(rows, amx_parts(s.numerics)),
          {w, s.K, 1, s.group_filters(), (phase.axis_h.first_tap * s.S + phase.axis_w.first_tap) * tap,
           phase.axis_h.tap_stride * s.S * tap, phase.axis_w.tap_stride * tap},
          gather};
}

bool folds_forward(const Conv2dSpec& s) {
  return s.groups == 1 && pays_to_fold(forward_axis_h(s), forward_axis_w(s), s.C, s.K);
}
bool folds_backward(const Conv2dSpec& s, const Phase& phase) {
  return s.groups == 1 && pays_to_fold(phase.axis_h.axis, phase.axis_w.axis, s.K, s.C);
}

// Runs of taps that backward input reads in the opposite order.
size_t grid_workspace(const AmxConv<AmxGrid>& c, int threads) {
  return c.grid.merged ? arranged_conv_workspace(c, threads) : amx_conv_workspace(c, threads);
}
bool grid_conv(const AmxConv<AmxGrid>& c, const Context& context) {
  return c.grid.merged ? arranged_conv(c, context) : amx_conv(c, context);
}

AmxConvWeight weight_problem(const Conv2dSpec& s, const float* x, const float* dy, float* dw, float* dbias) {
  return {{ImageRows<float>(x, s.N, forward_axis_h(s), forward_axis_w(s), s.C, s.group_channels(), true), dy,
           s.groups, s.group_filters(), dw, dbias},
          amx_parts(s.numerics)};
}

}  // namespace

size_t amx_conv2d_forward_workspace(const Conv2dSpec& s, int threads, const Gather& gather) {
  if (s.N == 0) return 0;
  return folds_forward(s)
             ? arranged_conv_workspace(forward_problem<FoldedGrid>(s, {}, {}, {}, {}, gather), threads)
             : amx_conv_workspace(forward_problem<AmxGrid>(s, {}, {}, {}, {}, gather), threads);
}

bool amx_conv2d_forward(const Conv2dSpec& s, const float* x, const float* w, const Epilogue<float>& epilogue,
                        float* y, const Context& context, const Gather& gather) {
  if (s.N == 0) return true;
  return folds_forward(s) ? arranged_conv(forward_problem<FoldedGrid>(s, x, w, epilogue, y, gather), context)
                          : amx_conv(forward_problem<AmxGrid>(s, x, w, epilogue, y, gather), context);
}

size_t amx_conv2d_backward_input_workspace(const Conv2dSpec& s, int threads, const Gather& gather) {
  size_t bytes = 0;
  if (s.N == 0) return bytes;
  if (suits_side_by_side(s)) return side_by_side_workspace(s, threads);
  for_each_phase(s, [&](const Phase& phase) {
    const size_t need =
        folds_backward(s, phase)
            ? arranged_conv_workspace(backward_problem<FoldedGrid>(s, phase, {}, {}, {}, {}, gather), threads)
            : grid_workspace(backward_problem<AmxGrid>(s, phase, {}, {}, {}, {}, gather), threads);
    if (need > bytes) bytes = need;
  });
  return bytes;
}

bool amx_conv2d_backward_input(const Conv2dSpec& s, const float* dy, const float* w,
                               const Epilogue<float>& epilogue, float* dx, const Context& context,
                               const Gather& gather) {
  if (s.N == 0) return true;
  fill_unreached(s, epilogue, dx, context.threads);
  if (suits_side_by_side(s)) return side_by_side(s, dy, w, epilogue, dx, context);
  bool done = true;
  for_each_phase(s, [&](const Phase& phase) {
    done = done &&
           (folds_backward(s, phase)
                ? arranged_conv(backward_problem<FoldedGrid>(s, phase, dy, w, epilogue, dx, gather), context)
                : grid_conv(backward_problem<AmxGrid>(s, phase, dy, w, epilogue, dx, gather), context));
  });
  return done;
}

size_t amx_conv2d_backward_weight_workspace(const Conv2dSpec& s, int threads) {
  if (s.N == 0) return 0;
  if (suits_amx_lines(s)) return lines_weight_workspace({s, amx_parts(s.numerics)}, threads);
  return amx_conv_weight_workspace(weight_problem(s, nullptr, nullptr, nullptr, nullptr), threads);
}

bool amx_conv2d_backward_weight(const Conv2dSpec& s, const float* x, const float* dy, float* dw, float* dbias,
                                const Context& context) {
  if (s.N == 0) return false;
  if (suits_amx_lines(s)) return lines_weight({s, amx_parts(s.numerics)}, x, dy, dw, dbias, context);
  return amx_conv_weight(weight_problem(s, x, dy, dw, dbias), context);
}

}  // namespace fc::cpu::FC_ISA
