// lines_forward.cpp — forward convolution of few input channels.
//
// Math       as conv2d_forward.cpp
// Shapes     as conv2d_forward.cpp, one group
// Blocking   a tile of positions x filters stays in registers over the whole filter; the strip of a band
//            (lines.h) and the filter stay in L1
// Threads    over bands of lines; each y has one writer
// Numerics   one chain of fma per y, ascending in (r,s,c): the bits of igemm.h
// Workspace  offsets; a strip per thread
// Edges      false, and nothing useful in y, where padding would meet an infinite or NaN weight
#include "cpu/kernels/conv2d.h"
#include "cpu/kernels/epilogue.h"
#include "cpu/kernels/igemm_filter.h"
#include "cpu/kernels/lines.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
struct LineTile {
  const T* strip;  // at the tile's first position
  int64_t step;
  const int64_t* offsets;
  int64_t terms;
  const T* w;  // at the panel's first filter
  int64_t K, columns;
  T* y;
  const Epilogue<T>& epilogue;
  int64_t column;
};

// M positions by V vectors of filters. Positions go by threes: few registers hold the addresses of all.
template <class T, int M, int V>
__attribute__((noinline)) void multiply_positions(const LineTile<T>& t) {
  constexpr int64_t L = kLanes<T>;
  const int64_t tail = t.columns - (V - 1) * L;
  const auto count = [tail](int v) { return v == V - 1 ? tail : L; };
  Vec<T> sum[M][V];
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[i][v] = Vec<T>{};
  const T* thirds[(M + 2) / 3];
#pragma GCC unroll 8
  for (int i = 0; i < (M + 2) / 3; ++i) thirds[i] = t.strip + 3 * i * t.step;
  const int64_t step = t.step, twice = 2 * step;
  const T* w = t.w;
  for (int64_t term = 0; term < t.terms; ++term, w += t.K) {
    const int64_t offset = t.offsets[term];
    Vec<T> filters[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) filters[v] = load_up_to(w + v * L, count(v));
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
      const T* at = thirds[i / 3] + offset;
      const Vec<T> value = broadcast(i % 3 == 0 ? at[0] : i % 3 == 1 ? at[step] : at[twice]);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sum[i][v] = fma<T>(value, filters[v], sum[i][v]);
    }
  }
  t.epilogue.apply(sum, t.column, tail, [&](int i) { return t.y + i * t.K; });
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) store_up_to(t.y + i * t.K + v * L, sum[i][v], count(v));
}

template <class T, int M, int V>
FC_INLINE void multiply_positions_up_to(int64_t positions, const LineTile<T>& t) {
  if constexpr (M > 1) {
    if (positions < M) return multiply_positions_up_to<T, M - 1, V>(positions, t);
  }
  multiply_positions<T, M, V>(t);
}

template <class T, int V = kTileVectors>
inline void multiply_positions(int64_t positions, int64_t vectors, const LineTile<T>& t) {
  if constexpr (V > 1) {
    if (vectors < V) return multiply_positions<T, V - 1>(positions, vectors, t);
  }
  multiply_positions_up_to<T, outer_rows(V), V>(positions, t);
}

template <class T>
struct LinesWorkspace {
  int64_t* offsets;
  SlotWorkspace slots;

  LinesWorkspace(const Lines<T>& lines, int threads, void* base) {
    WorkspaceCutter cutter(base);
    offsets = cutter.take<int64_t>(lines.terms);
    WorkspaceCutter one(nullptr);
    one.take<T>(lines.strip_size());
    slots = SlotWorkspace(cutter, one.bytes(), threads);
  }
};

// One line of y.
template <class T>
void forward_line(const Lines<T>& lines, const int64_t* offsets, const T* strip, const T* w,
                  const Epilogue<T>& epilogue, T* y) {
  const Conv2dSpec& s = lines.s;
  const Panels<T> panels(s.K);
  for (int64_t panel = 0; panel < panels.count; ++panel) {
    const int64_t vectors = panels.vectors_of(panel).size(), column = panels.column_of(panel);
    const int64_t tiles = ceil_div(s.Q, outer_rows(static_cast<int>(vectors)));
    for (int64_t i = 0; i < tiles; ++i) {
      const Range run = part_of(s.Q, tiles, i);
      multiply_positions<T>(run.size(), vectors,
                            {strip + run.begin * lines.step, lines.step, offsets, lines.terms, w + column,
                             s.K, panels.columns_of(panel), y + run.begin * s.K + column, epilogue, column});
    }
  }
  epilogue.finish(&y, 1, 0, s.Q * s.K);
}

}  // namespace

template <class T>
size_t lines_forward_workspace(const Conv2dSpec& s, int threads) {
  return LinesWorkspace<T>(Lines<T>(s), threads, nullptr).slots.total_bytes;
}

template <class T>
bool lines_forward(const Conv2dSpec& s, const T* x, const T* w, const Epilogue<T>& epilogue, T* y,
                   const Context& context) {
  const Lines<T> lines(s);
  if (lines.has_edges() && !all_finite(w, lines.terms * s.K)) return false;
  const LinesWorkspace<T> workspace(lines, context.threads, context.workspace);
  lines.list_offsets(workspace.offsets);
  const int threads = threads_for_products(lines.products(), lines.terms * s.K, context.threads);
  parallel_for_slots(threads, lines.count(), [&](int64_t band, int slot) {
    WorkspaceCutter cutter = workspace.slots.at(slot);
    T* const strip = cutter.take<T>(lines.strip_size());
    lines.fill_strip(x, band, strip);
    T* const results = y + lines.first_result(band);
    for (int64_t i = 0; i < lines.lines_of(band).size(); ++i)
      forward_line(lines, workspace.offsets, strip + i * lines.line, w, epilogue, results + i * s.Q * s.K);
  });
  return true;
}

#define FC_INSTANTIATE(T)                                                                       \
  template size_t lines_forward_workspace<T>(const Conv2dSpec&, int);                           \
  template bool lines_forward<T>(const Conv2dSpec&, const T*, const T*, const Epilogue<T>&, T*, \
                                 const Context&);
FC_INSTANTIATE(float)
FC_F64(FC_INSTANTIATE(double))
#undef FC_INSTANTIATE

}  // namespace fc::cpu::FC_ISA
