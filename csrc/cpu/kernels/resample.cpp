// resample.cpp — images in another size, by taps: short weighted sums of rows, then of columns.
//
// Math       y[n,p,q,c] = Σ_s v(q,s) Σ_r u(p,r) x[n,r,s,c]; u and v: the spec's taps, forward or back
// Shapes     x (N,H,W,C)  y (N,P,Q,C), each the other way round in the transposed spec
// Blocking   a row of y at a time: the sum of its rows of x lies in L1 or L2, the columns read it there
// Threads    over rows of y; each has one writer
// Numerics   weights rounded to T; products added in ascending order, by fma where the ISA has it, rows
//            first. One tap of weight 1 copies: nearest neighbours are exact
// Workspace  a row of x per thread
// Edges      weights of 0 at the ends of a line are no taps: what they would meet may be NaN
// Source     core/resample_axis.h
#include "core/resample_spec.h"
#include "cpu/kernels/table.h"
#include "cpu/kernels/work.h"
#include "cpu/kernels/workspace.h"
#include "cpu/parallel.h"
#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {
namespace {

constexpr double kNs = 1;  // per element of y

// The taps of one cell, as plain pointers.
struct Line {
  const double* weights;
  int64_t first, count;

  Line(const Taps& taps, int64_t i)
      : weights(taps.weights.data() + taps.start.data()[i]),
        first(taps.first.data()[i]),
        count(taps.count.data()[i]) {}
  bool copies() const { return count == 1 && weights[0] == 1; }
};

// y[i] = Σ_t weights[t] x[t * step + i], i < n.
template <class T>
FC_INLINE void weighted_sum(const Line& line, const T* x, int64_t step, T* y, int64_t n) {
  for_each_vector<T>(n, [&](int64_t i, int64_t count) {
    Vec<T> sum = zero<T>();
    for (int64_t t = 0; t < line.count; ++t) {
      const Vec<T> weight = broadcast(static_cast<T>(line.weights[t]));
      const Vec<T> v = load_up_to(x + t * step + i, count);
      sum = t == 0 ? weight * v : fma<T>(weight, v, sum);
    }
    store_up_to(y + i, sum, count);
  });
}

// A row of y from the sum of rows of x.
template <class T>
void columns_of(const Taps& taps, int64_t cells, int64_t C, const T* x, T* y) {
  for (int64_t q = 0; q < cells; ++q) {
    const Line line(taps, q);
    if (!line.copies()) {
      weighted_sum(line, x + line.first * C, C, y + q * C, C);
      continue;
    }
    for (int64_t c = 0; c < C; ++c) y[q * C + c] = x[line.first * C + c];
  }
}

template <class T>
size_t resample_workspace(const ResampleSpec& s, int threads) {
  const int64_t width = (s.transposed ? s.Q : s.W) * s.C;
  WorkspaceCutter row(nullptr);
  row.take<T>(width);
  return SlotWorkspace(WorkspaceCutter(nullptr), row.bytes(), threads).total_bytes;
}

template <class T>
void resample(const ResampleSpec& s, const T* x, T* y, const Context& context) {
  const int64_t heights[2] = {s.H, s.P}, widths[2] = {s.W * s.C, s.Q * s.C};
  const int64_t height = heights[s.transposed], width = widths[s.transposed];
  const int64_t rows = heights[!s.transposed], result = widths[!s.transposed];
  WorkspaceCutter counted(nullptr);
  counted.take<T>(width);
  const SlotWorkspace workspace(WorkspaceCutter(context.workspace), counted.bytes(), context.threads);
  const Crew threads = threads_for(s.N * rows * result, context.threads, kNs);
  const int64_t block = rows_per_block(result);
  parallel_for_slots(threads, ceil_div(s.N * rows, block), [&](int64_t b, int slot) {
    T* sum = workspace.at(slot).take<T>(width);
    for (int64_t i = b * block; i < min_of(s.N * rows, (b + 1) * block); ++i) {
      const Line line(s.taps[0], i % rows);
      const T* source = x + (i / rows * height + line.first) * width;
      if (!line.copies()) weighted_sum(line, source, width, sum, width);
      columns_of(s.taps[1], result / s.C, s.C, line.copies() ? source : sum, y + i * result);
    }
  });
}

}  // namespace

void add_resample(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, resample);
}

}  // namespace fc::cpu::FC_ISA
