// lines_backward_weight.cpp — gradients of the filter and the bias, of few input channels.
//
// Math       as conv2d_backward_weight.cpp
// Shapes     as conv2d_backward_weight.cpp, one group
// Blocking   a tile of filter rows (tap and channel) x filters stays in registers over a band of lines of
//            dy; the band and its strip (lines.h) stay in L1
// Threads    over chunks of bands; chunks by shape alone, added in a fixed tree
// Numerics   fma ascending in (p,q) within a chunk, then the tree; dbias: four chains per band
// Workspace  offsets; per chunk the sums, per thread a strip
// Edges      false, and nothing useful in dw, where it is not finite: padding may have met an infinite dy
#include "cpu/kernels/add_rows.h"
#include "cpu/kernels/conv2d.h"
#include "cpu/kernels/igemm_filter.h"
#include "cpu/kernels/lines.h"
#include "cpu/kernels/tree_sum.h"

namespace fc::cpu::FC_ISA {
namespace {

// G runs of M rows of dw: a run's rows read neighbours in the strip, so that one pointer reaches them all.
template <class T>
struct RowTile {
  const T* strip;
  const int64_t* offsets;  // of the rows; neighbours within a run
  int64_t lines, line, positions, step;
  const T* dy;
  int64_t K, columns;
  T* sum;  // + row · K + column
};

inline constexpr int kMostRuns = 3;

template <class T, int G, int M, int V>
__attribute__((noinline)) void add_band(const RowTile<T>& t) {
  constexpr int64_t L = kLanes<T>;
  const int64_t tail = t.columns - (V - 1) * L;
  const auto count = [tail](int v) { return v == V - 1 ? tail : L; };
  Vec<T> sum[G * M][V];
#pragma GCC unroll 16
  for (int i = 0; i < G * M; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[i][v] = load_up_to(t.sum + i * t.K + v * L, count(v));
  const T* dy = t.dy;
  const int64_t K = t.K, step = t.step;
  for (int64_t line = 0; line < t.lines; ++line) {
    const T* runs[G];
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) runs[g] = t.strip + line * t.line + t.offsets[g * M];
    for (int64_t q = t.positions, at = 0; q > 0; --q, dy += K, at += step) {
      Vec<T> filters[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) filters[v] = load_up_to(dy + v * L, count(v));
#pragma GCC unroll 16
      for (int i = 0; i < G * M; ++i) {
        const Vec<T> value = broadcast(runs[i / M][at + i % M]);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sum[i][v] = fma<T>(value, filters[v], sum[i][v]);
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < G * M; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) store_up_to(t.sum + i * t.K + v * L, sum[i][v], count(v));
}

template <class T, int G, int M, int V>
FC_INLINE void add_band_up_to(int64_t rows, const RowTile<T>& t) {
  if constexpr (M > 1) {
    if (rows < M) return add_band_up_to<T, G, M - 1, V>(rows, t);
  }
  add_band<T, G, M, V>(t);
}

template <class T, int V, int G = kMostRuns>
FC_INLINE void add_band_up_to(int64_t runs, int64_t rows, const RowTile<T>& t) {
  if constexpr (G > 1) {
    if (runs < G) return add_band_up_to<T, V, G - 1>(runs, rows, t);
  }
  add_band_up_to<T, G, outer_rows(V) / G, V>(rows, t);
}

template <class T, int V = kTileVectors>
inline void add_band(int64_t runs, int64_t rows, int64_t vectors, const RowTile<T>& t) {
  if constexpr (V > 1) {
    if (vectors < V) return add_band<T, V - 1>(runs, rows, vectors, t);
  }
  add_band_up_to<T, V>(runs, rows, t);
}

// Rows of dw cut into tiles: whole runs where a few of these fit into the registers, else parts of one run.
struct RowTiles {
  int64_t run, all_runs;        // rows of a run; runs of dw
  int64_t runs, pieces, count;  // runs per tile, at most; tiles per run, of one run each; tiles

  RowTiles(int64_t rows_of_run, int64_t runs_of_dw, int64_t most_rows)
      : run(rows_of_run),
        all_runs(runs_of_dw),
        runs(max_of(min_of(min_of(most_rows / run, kMostRuns), all_runs), 1)),
        pieces(ceil_div(run, most_rows)),
        count(runs > 1 ? ceil_div(all_runs, runs) : all_runs * pieces) {}

  // f(first row, runs, rows of each) for every tile.
  template <class F>
  void for_each(const F& f) const {
    for (int64_t i = 0; i < count; ++i) {
      if (runs > 1) {
        const Range part = part_of(all_runs, count, i);
        f(part.begin * run, part.size(), run);
      } else {
        const Range part = part_of(run, pieces, i % pieces);
        f(i / pieces * run + part.begin, int64_t{1}, part.size());
      }
    }
  }
};

template <class T>
struct LinesWeightWorkspace {
  int64_t chunks, size;  // size: of the filter's and the bias's sums
  int64_t* offsets;
  T* sums;
  SlotWorkspace slots;

  LinesWeightWorkspace(const Lines<T>& lines, int threads, void* base)
      : chunks(max_of(min_of(lines.count(), tasks_for(lines.products())), 1)),
        size((lines.terms + 1) * lines.s.K) {
    WorkspaceCutter cutter(base);
    offsets = cutter.take<int64_t>(lines.terms);
    sums = cutter.take<T>(chunks * size);
    WorkspaceCutter one(nullptr);
    take_strip(lines, one);
    slots = SlotWorkspace(cutter, one.bytes(), threads);
  }

  static T* take_strip(const Lines<T>& lines, WorkspaceCutter& cutter) {
    return cutter.take<T>(lines.strip_size());
  }
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
  const int64_t filter_size = lines.terms * s.K;
  const bool row_runs = s.dilation_w == 1;  // the taps of a filter row are neighbours in the strip
  const Panels<T> panels(s.K);
  parallel_for_slots(context.threads, workspace.chunks, [&](int64_t chunk, int slot) {
    WorkspaceCutter cutter = workspace.slots.at(slot);
    T* const strip = workspace.take_strip(lines, cutter);
    T* const sums = workspace.sums + chunk * workspace.size;
    for (int64_t i = 0; i < workspace.size; ++i) sums[i] = T(0);
    const Range run = part_of(lines.count(), workspace.chunks, chunk);
    for (int64_t band = run.begin; band < run.end; ++band) {
      const T* const results = dy + lines.first_result(band);
      const int64_t height = lines.lines_of(band).size();
      lines.fill_strip(x, band, strip);
      for (int64_t panel = 0; panel < panels.count; ++panel) {
        const int64_t vectors = panels.vectors_of(panel).size(), column = panels.column_of(panel);
        const RowTiles tiles(row_runs ? s.S * s.C : s.C, row_runs ? s.R : s.R * s.S,
                             outer_rows(static_cast<int>(vectors)));
        tiles.for_each([&](int64_t first, int64_t runs, int64_t rows) {
          add_band<T>(runs, rows, vectors,
                      {strip, workspace.offsets + first, height, lines.line, s.Q, lines.step,
                       results + column, s.K, panels.columns_of(panel), sums + first * s.K + column});
        });
      }
      if (dbias != nullptr) add_rows(results, height * s.Q, s.K, s.K, true, sums + filter_size);
    }
  });
  tree_sum(workspace.sums, workspace.chunks, workspace.size, filter_size, dw, 1);
  if (dbias != nullptr)
    tree_sum(workspace.sums + filter_size, workspace.chunks, workspace.size, s.K, dbias, 1);
  return !lines.has_edges() || all_finite(dw, filter_size);
}

#define FC_INSTANTIATE(T)                                                     \
  template size_t lines_backward_weight_workspace<T>(const Conv2dSpec&, int); \
  template bool lines_backward_weight<T>(const Conv2dSpec&, const T*, const T*, T*, T*, const Context&);
FC_INSTANTIATE(float)
FC_F64(FC_INSTANTIATE(double))
#undef FC_INSTANTIATE

}  // namespace fc::cpu::FC_ISA
