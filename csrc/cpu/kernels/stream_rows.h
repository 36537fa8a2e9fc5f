// stream_rows.h — a dense layer of a few samples: bound by the memory that its weights come from.
//
// Math       y[m,n] = epilogue(Σ_k x[m,k] · w[k,n])     M <= kStreamedRows
// Blocking   a task owns a chunk of w's rows, which lie one behind the other: it reads them once, as they
// lie,
//            a few rows side by side, and adds to sums of its own that stay in L1. The chunks' sums are added
// Threads    over chunks, by shape alone
// Numerics   within a chunk the products of a few rows are a chain of fma, added to the sum so far; chunks
// are
//            added in a fixed tree. The bits differ from those of a product of many rows, which igemm.h has
// Workspace  stream_rows_workspace(...) bytes: the sums
// Edges      the last vector of a row is loaded partially
// Tried      a run of columns per task: its pieces of rows, some KiB apart, come at half the speed
#pragma once

#include <algorithm>

#include "core/context.h"
#include "cpu/kernels/epilogue.h"
#include "cpu/kernels/tree_sum.h"
#include "cpu/kernels/workspace.h"

namespace fc::cpu::FC_ISA {

inline constexpr int64_t kStreamedRows = 4;   // samples, at most
inline constexpr int64_t kStreamChunks = 32;  // at most, so that any number of threads balances
inline constexpr int64_t kStreamGroup = 8;    // rows of w, which chunks are made of
inline constexpr int64_t kStreamChunkElements = 8192;
inline constexpr double kStreamNs = 0.08;  // per weight

template <class T>
struct StreamRows {
  int64_t rows, depth, columns;
  const T *x, *w;
  T* y;
  Epilogue<T> epilogue;

  int64_t chunks() const { return max_of(min_of(kStreamChunks, depth * columns / kStreamChunkElements), 1); }
  int64_t pitch() const { return round_up(columns, kLanes<T>); }
};

template <class T>
inline size_t stream_rows_workspace(const StreamRows<T>& p) {
  WorkspaceCutter cutter(nullptr);
  cutter.take<T>(p.chunks() * p.rows * p.pitch());
  return cutter.bytes();
}

// sums[m][:] += x[m, k … k + R) · w[k … k + R, :].
template <class T, int M, int R>
FC_INLINE void add_rows(const StreamRows<T>& p, int64_t k, T* sums) {
  Vec<T> factors[M][R];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) factors[m][r] = broadcast(p.x[m * p.depth + k + r]);
  const T* const w = p.w + k * p.columns;
  for_each_vector<T>(p.columns, [&](int64_t j, int64_t count) {
    Vec<T> row[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) row[r] = load_up_to(w + r * p.columns + j, count);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      Vec<T> products = factors[m][0] * row[0];
#pragma GCC unroll 8
      for (int r = 1; r < R; ++r) products = fma<T>(factors[m][r], row[r], products);
      T* const sum = sums + m * p.pitch() + j;
      store(sum, load(sum) + products);
    }
  });
}

template <class T, int M>
inline void add_chunk(const StreamRows<T>& p, Range depth, T* sums) {
  constexpr int R = M <= 2 ? 8 : 4;  // more rows than these are not fetched ahead any faster
  std::fill_n(sums, M * p.pitch(), T(0));
  int64_t k = depth.begin;
  for (; k + R <= depth.end; k += R) add_rows<T, M, R>(p, k, sums);
  for (; k < depth.end; ++k) add_rows<T, M, 1>(p, k, sums);
}

template <class T, int M = kStreamedRows>
inline void stream_rows(const StreamRows<T>& p, const Context& context) {
  if constexpr (M > 1) {
    if (p.rows < M) return stream_rows<T, M - 1>(p, context);
  }
  const int64_t chunks = p.chunks(), size = M * p.pitch();
  T* const sums = WorkspaceCutter(context.workspace).take<T>(chunks * size);
  parallel_for(threads_for(p.depth * p.columns, context.threads, kStreamNs), chunks, [&](int64_t i) {
    const Range rows = part_of(ceil_div(p.depth, kStreamGroup), chunks, i);
    add_chunk<T, M>(p, {rows.begin * kStreamGroup, min_of(rows.end * kStreamGroup, p.depth)},
                    sums + i * size);
  });
  tree_sum(sums, chunks, size, size, sums, threads_for(chunks * size, context.threads));
  for (int m = 0; m < M; ++m) {
    for_each_vector<T>(p.columns, [&](int64_t j, int64_t count) {
      T* const to = p.y + m * p.columns + j;
      Vec<T> tile[1][1] = {{load(sums + m * p.pitch() + j)}};
      p.epilogue.apply(tile, j, count, [to](int) { return to; });
      store_up_to(to, tile[0][0], count);
    });
  }
  p.epilogue.finish(p.y, p.columns, M, p.columns);
}

}  // namespace fc::cpu::FC_ISA
