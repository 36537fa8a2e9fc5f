// lines_backward_weight.cpp — gradients of the filter and the bias, of few input channels.
//
// Math       as conv2d_backward_weight.cpp
// Shapes     as conv2d_backward_weight.cpp, one group
// Blocking   a tile of filter rows (tap and channel) x filters stays in registers over a line of dy; the
//            line's strip (lines.h) stays in L1. The bias is one more row, whose pixels are all 1
// Threads    over chunks of lines; chunks by shape alone, added in a fixed tree
// Numerics   fma ascending in q within a line, lines added in order, then the tree
// Workspace  offsets, ones; per chunk the sums and a strip
// Edges      false, and nothing useful in dw, where it is not finite: padding may have met an infinite dy
#include "cpu/kernels/conv2d.h"
#include "cpu/kernels/igemm_filter.h"
#include "cpu/kernels/lines.h"
#include "cpu/kernels/tree_sum.h"

namespace fc::cpu::FC_ISA {
namespace {

inline constexpr int kMostRows = 9;  // pointers in general registers

template <class T>
struct RowTile {
  const T* const* rows;  // at position 0
  int64_t step, positions;
  const T* dy;
  int64_t K, columns;
  T* sum;  // + row · K + column
};

template <class T, int M, int V>
__attribute__((noinline)) void add_line(const RowTile<T>& t) {
  constexpr int64_t L = kLanes<T>;
  const int64_t tail = t.columns - (V - 1) * L;
  const auto count = [tail](int v) { return v == V - 1 ? tail : L; };
  Vec<T> sum[M][V];
  const T* rows[M];
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i) {
    rows[i] = t.rows[i];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[i][v] = load_up_to(t.sum + i * t.K + v * L, count(v));
  }
  const T* dy = t.dy;
  int64_t at = 0;
  for (int64_t q = 0; q < t.positions; ++q, dy += t.K, at += t.step) {
    Vec<T> filters[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) filters[v] = load_up_to(dy + v * L, count(v));
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
      const Vec<T> value = broadcast(rows[i][at]);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sum[i][v] = fma<T>(value, filters[v], sum[i][v]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < M; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) store_up_to(t.sum + i * t.K + v * L, sum[i][v], count(v));
}

// Rows of a tile of V vectors: as many sums as registers hold beside a line of dy.
constexpr int line_rows(int vectors) {
  return outer_rows(vectors) < kMostRows ? outer_rows(vectors) : kMostRows;
}

template <class T, int M, int V>
FC_INLINE void add_line_up_to(int64_t rows, const RowTile<T>& t) {
  if constexpr (M > 1) {
    if (rows < M) return add_line_up_to<T, M - 1, V>(rows, t);
  }
  add_line<T, M, V>(t);
}

template <class T, int V = kTileVectors>
inline void add_line(int64_t rows, int64_t vectors, const RowTile<T>& t) {
  if constexpr (V > 1) {
    if (vectors < V) return add_line<T, V - 1>(rows, vectors, t);
  }
  add_line_up_to<T, line_rows(V), V>(rows, t);
}

template <class T>
struct LinesWeightWorkspace {
  int64_t chunks, rows, size;  // rows of the sums: the filter's and the bias's
  int64_t* offsets;
  T* ones;
  T* sums;
  SlotWorkspace slots;

  LinesWeightWorkspace(const Lines<T>& lines, int threads, void* base)
      : chunks(
            max_of(min_of(lines.count(), tasks_for(lines.count() * lines.s.Q * lines.terms * lines.s.K)), 1)),
        rows(lines.terms + 1),
        size(rows * lines.s.K) {
    WorkspaceCutter cutter(base);
    offsets = cutter.take<int64_t>(lines.terms);
    ones = cutter.take<T>(lines.s.Q * lines.step);
    sums = cutter.take<T>(chunks * size);
    WorkspaceCutter one(nullptr);
    take_strip(lines, one), take_rows(one);
    slots = SlotWorkspace(cutter, one.bytes(), threads);
  }

  static T* take_strip(const Lines<T>& lines, WorkspaceCutter& cutter) {
    return cutter.take<T>(lines.s.R * lines.pitch);
  }
  const T** take_rows(WorkspaceCutter& cutter) const { return cutter.take<const T*>(rows); }
};

}  // namespace

template <class T>
size_t lines_backward_weight_workspace(const Conv2dSpec& s, int threads) {
  return LinesWeightWorkspace<T>(Lines<T>(s), threads, nullptr).slots.total_bytes;
}

template <class T>
bool lines_backward_weight(const Conv2dSpec& s, const T* x, const T* dy, T* dw, T* dbias,
                           const Context& context) {
  const Lines<T> lines(s);
  const LinesWeightWorkspace<T> workspace(lines, context.threads, context.workspace);
  lines.list_offsets(workspace.offsets);
  for (int64_t i = 0; i < s.Q * lines.step; ++i) workspace.ones[i] = T(1);
  const int64_t rows = lines.terms + (dbias != nullptr);
  const Panels<T> panels(s.K);
  parallel_for_slots(context.threads, workspace.chunks, [&](int64_t chunk, int slot) {
    WorkspaceCutter cutter = workspace.slots.at(slot);
    T* const strip = workspace.take_strip(lines, cutter);
    const T** const pointers = workspace.take_rows(cutter);
    for (int64_t i = 0; i < lines.terms; ++i) pointers[i] = strip + workspace.offsets[i];
    pointers[lines.terms] = workspace.ones;
    T* const sums = workspace.sums + chunk * workspace.size;
    for (int64_t i = 0; i < workspace.size; ++i) sums[i] = T(0);
    const Range run = part_of(lines.count(), workspace.chunks, chunk);
    for (int64_t line = run.begin; line < run.end; ++line) {
      lines.fill_strip(x, line, strip);
      for (int64_t panel = 0; panel < panels.count; ++panel) {
        const int64_t vectors = panels.vectors_of(panel).size(), column = panels.column_of(panel);
        const int64_t tiles = ceil_div(rows, line_rows(static_cast<int>(vectors)));
        for (int64_t i = 0; i < tiles; ++i) {
          const Range tile = part_of(rows, tiles, i);
          add_line<T>(tile.size(), vectors,
                      {pointers + tile.begin, lines.step, s.Q, dy + line * s.Q * s.K + column, s.K,
                       panels.columns_of(panel), sums + tile.begin * s.K + column});
        }
      }
    }
  });
  const int64_t size = lines.terms * s.K;
  tree_sum(workspace.sums, workspace.chunks, workspace.size, size, dw, 1);
  if (dbias != nullptr) tree_sum(workspace.sums + size, workspace.chunks, workspace.size, s.K, dbias, 1);
  return !lines.has_edges() || all_finite(dw, size);
}

#define FC_INSTANTIATE(T)                                                     \
  template size_t lines_backward_weight_workspace<T>(const Conv2dSpec&, int); \
  template bool lines_backward_weight<T>(const Conv2dSpec&, const T*, const T*, T*, T*, const Context&);
FC_INSTANTIATE(float)
FC_INSTANTIATE(double)
#undef FC_INSTANTIATE

}  // namespace fc::cpu::FC_ISA
