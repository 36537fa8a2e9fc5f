// conv2d_col2im.cpp — gradient of the input of few channels: all taps of a filter row in one register.
//
// Math       columns[i,q][s·C+c] = Σ_{r,k} dy[n,p,q,k] · w[r,s,c,k]           over the (r,p) of line i
//            dx[n,i,j,c] = Σ_s columns[i,q][s·C+c]                            over the (s,q) of pixel j
//            with i = p·sh−pt+r·dh and j = q·sw−pl+s·dw; then + addend, and the gate's map (gate.h)
// Shapes     as conv2d_backward_input.cpp, one group
// Blocking   C columns leave most of a register empty, S·C of them do not. A task owns a band of lines of one
//            phase (phases.h); under one r all its lines are one matrix with rows at equal distances. The columns
//            of a band stay in L1
// Threads    over bands; each dx has one writer
// Numerics   per s one chain of fma, ascending in (r,k); these ascending in s
// Workspace  w, packed; where the taps of a pixel lie; per thread a band of columns
// Edges      what lies outside dy is no product at all, so padding costs nothing and does not meet an infinite w
// Source     col2im: Chellapilla et al., High Performance Convolutional Neural Networks for Document Processing,
//            https://inria.hal.science/inria-00112631
#include <algorithm>

#include "cpu/kernels/conv2d.h"
#include "cpu/kernels/igemm_filter.h"
#include "cpu/kernels/phases.h"
#include "cpu/kernels/tile_planes.h"
#include "cpu/kernels/workspace.h"

namespace fc::cpu::FC_ISA {
namespace {

// The taps that reach a pixel of a line: `count` columns, `step` elements apart.
struct Reach {
  int64_t first, count, step;
};

struct Col2im {
  const Conv2dSpec& s;
  Panels<float> panels;
  int64_t width;  // elements of a row of columns
  int64_t line;   // of a line of them
  int64_t bands;  // of a phase

  explicit Col2im(const Conv2dSpec& s)
      : s(s), panels(s.S * s.C), width(panels.vectors * kLanes<float>), line(s.Q * width) {
    const int64_t lines = ceil_div(s.H, s.stride_h), bytes = line * static_cast<int64_t>(sizeof(float));
    bands = ceil_div(lines, max_of(kColumnsBytes / max_of(bytes, 1), 1));
  }

  int64_t phases() const { return min_of(s.stride_h, s.H); }
  int64_t most_lines() const { return ceil_div(ceil_div(s.H, s.stride_h), max_of(bands, 1)); }
  // A pixel is read in whole vectors: one more than what the last column needs.
  int64_t band_size() const { return most_lines() * line + kLanes<float>; }

  Filter<float> filter(const float* w) const { return {w, 1, s.S * s.C * s.K, 0, 1, s.K, 0}; }

  void list_reaches(Reach* reaches) const {
    for (int64_t w = 0; w < s.W; ++w) reaches[w] = {0, 0, 0};
    for (int64_t phase = 0; phase < min_of(s.stride_w, s.W); ++phase) {
      const auto [axis, first_tap, tap_stride] = phase_axis(forward_axis_w(s), phase);
      for (int64_t i = 0; i < axis.positions; ++i) {
        Reach& reach = reaches[phase + i * s.stride_w];
        for (int64_t t = 0; t < axis.taps; ++t) {
          if (!axis.contains(axis.cell(i, t))) continue;
          if (reach.count++ == 0) reach.first = axis.cell(i, t) * width + (first_tap + t * tap_stride) * s.C;
        }
        reach.step = axis.tap_step * width + tap_stride * s.C;
      }
    }
  }
};

struct Col2imWorkspace {
  PackedFilter<float> packed;
  Reach* reaches;
  SlotWorkspace slots;

  Col2imWorkspace(const Col2im& k, int threads, void* base)
      : Col2imWorkspace(k, threads, WorkspaceCutter(base)) {}

 private:
  Col2imWorkspace(const Col2im& k, int threads, WorkspaceCutter cutter)
      : packed(k.panels, 1, k.s.R, k.s.K, cutter), reaches(cutter.take<Reach>(k.s.W)) {
    WorkspaceCutter one(nullptr);
    one.take<float>(k.band_size());
    slots = SlotWorkspace(cutter, one.bytes(), threads);
  }
};

// The columns of a phase's `lines` of one image.
void multiply_lines(const Col2im& k, const PackedFilter<float>& packed, const PhaseAxis& h, Range lines,
                    const float* dy, float* columns) {
  const Conv2dSpec& s = k.s;
  std::fill_n(columns, lines.size() * k.line, 0.0f);
  for (int64_t tap = 0; tap < h.axis.taps; ++tap) {
    const Range inside = h.axis.inside(tap);
    const int64_t begin = max_of(inside.begin, lines.begin), end = min_of(inside.end, lines.end);
    if (begin >= end) continue;
    const float* const rows = dy + h.axis.cell(begin, tap) * s.Q * s.K;
    for (int64_t panel = 0; panel < k.panels.count; ++panel) {
      const float* const b = packed.at(k.panels, 0, panel, h.first_tap + tap * h.tap_stride, 0);
      float* const out = columns + (begin - lines.begin) * k.line + k.panels.column_of(panel);
      const TilePlanes<float> t{rows, s.K, s.K, b, out, k.width, true};
      multiply_planes((end - begin) * s.Q, k.panels.vectors_of(panel).size(), t);
    }
  }
}

void add_columns(const Col2im& k, const Reach* reaches, const float* columns, float* dx) {
  const int64_t C = k.s.C;
  for (int64_t w = 0; w < k.s.W; ++w, dx += C) {
    const Reach reach = reaches[w];
    for_each_vector<float>(C, [&](int64_t c, int64_t n) {
      Vec<float> sum{};
      const float* from = columns + reach.first + c;
      for (int64_t t = 0; t < reach.count; ++t, from += reach.step) sum += load(from);
      store_up_to(dx + c, sum, n);
    });
  }
}

}  // namespace

size_t col2im_backward_input_workspace(const Conv2dSpec& s, int threads) {
  return Col2imWorkspace(Col2im(s), threads, nullptr).slots.total_bytes;
}

void col2im_backward_input(const Conv2dSpec& s, const float* dy, const float* w,
                           const Epilogue<float>& epilogue, float* dx, const Context& context) {
  const Col2im k(s);
  const Col2imWorkspace workspace(k, context.threads, context.workspace);
  const int64_t weights = s.R * s.S * s.C * s.K;
  const int threads = threads_for_products(s.N * s.P * s.Q * weights, weights, context.threads);
  workspace.packed.fill(k.filter(w), k.panels, threads);
  k.list_reaches(workspace.reaches);
  parallel_for_slots(threads, s.N * k.phases() * k.bands, [&](int64_t task, int slot) {
    const int64_t band = task % k.bands, phase = task / k.bands % k.phases(), n = task / k.bands / k.phases();
    const PhaseAxis h = phase_axis(forward_axis_h(s), phase);
    const Range lines = part_of(h.axis.positions, k.bands, band);
    WorkspaceCutter cutter = workspace.slots.at(slot);
    float* const columns = cutter.take<float>(k.band_size());
    multiply_lines(k, workspace.packed, h, lines, dy + n * s.P * s.Q * s.K, columns);
    for (int64_t i = lines.begin; i < lines.end; ++i) {
      float* const line = dx + (n * s.H + phase + i * s.stride_h) * s.W * s.C;
      add_columns(k, workspace.reaches, columns + (i - lines.begin) * k.line, line);
      epilogue.finish_gradient(line, s.W * s.C);
    }
  });
}

}  // namespace fc::cpu::FC_ISA
