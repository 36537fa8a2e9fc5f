// stream_rows.h — a dense layer of a few samples: bound by the memory that its weights come from.
//
// Math       y[m,n] = epilogue(Σ_k x[m,k] · w[k,n])     M <= kStreamedRows
// Blocking   rows of w are read once, as they lie, a few side by side; the sums stay in L1.
//            stream_rows: a task owns a chunk of rows, which lie one behind the other, and sums of its own;
//            the chunks' sums are added. chain_row: a task owns a run of columns, as long as there are
//            enough of them for the threads: the longer, the faster memory gives them
// Threads    over chunks, by shape alone; over runs of columns, on which no bit depends
// Numerics   chain_row: one chain of fma per y, ascending in k: the bits of igemm.h. stream_rows: within a
//            chunk the products of a few rows are a chain of fma, added to the sum so far; chunks are added
//            in a fixed tree
// Workspace  stream_rows: stream_rows_workspace(...) bytes, the sums. chain_row: none, they are in y
// Edges      the last vector of a row is loaded partially
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
inline constexpr int64_t kShortestRun = 512, kLongestRun = 8192;  // bytes of a row of w
inline constexpr double kStreamNs = 0.08;                         // per weight

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

// sums[m · pitch + j] += x[m, k … k + R) · w[k … k + R, first + j], j < columns; of a chain, product by
// product.
template <class T, int M, int R, bool kChain>
FC_INLINE void add_products(const StreamRows<T>& p, int64_t k, int64_t first, int64_t columns, T* sums,
                            int64_t pitch) {
  Vec<T> factors[M][R];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) factors[m][r] = broadcast(p.x[m * p.depth + k + r]);
  const T* const w = p.w + k * p.columns + first;
  for_each_vector<T>(columns, [&](int64_t j, int64_t count) {
    Vec<T> row[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) row[r] = load_up_to(w + r * p.columns + j, count);
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m) {
      T* const at = sums + m * pitch + j;
      const Vec<T> before = load_up_to(at, count);
      Vec<T> sum = kChain ? fma<T>(factors[m][0], row[0], before) : factors[m][0] * row[0];
#pragma GCC unroll 8
      for (int r = 1; r < R; ++r) sum = fma<T>(factors[m][r], row[r], sum);
      store_up_to(at, kChain ? sum : before + sum, count);
    }
  });
}

template <class T, int M, bool kChain>
inline void sum_rows(const StreamRows<T>& p, Range depth, Range columns, T* sums, int64_t pitch) {
  constexpr int R = M <= 2 ? 8 : 4;  // more rows than these are not fetched ahead any faster
  for (int m = 0; m < M; ++m) std::fill_n(sums + m * pitch, columns.size(), T(0));
  int64_t k = depth.begin;
  for (; k + R <= depth.end; k += R)
    add_products<T, M, R, kChain>(p, k, columns.begin, columns.size(), sums, pitch);
  for (; k < depth.end; ++k) add_products<T, M, 1, kChain>(p, k, columns.begin, columns.size(), sums, pitch);
}

// y[:, columns] = epilogue(sums); they may be the same.
template <class T, int M>
inline void finish_rows(const StreamRows<T>& p, Range columns, const T* sums, int64_t pitch) {
  for (int m = 0; m < M; ++m) {
    for_each_vector<T>(columns.size(), [&](int64_t j, int64_t count) {
      T* const to = p.y + m * p.columns + columns.begin + j;
      Vec<T> tile[1][1] = {{load_up_to(sums + m * pitch + j, count)}};
      p.epilogue.apply(tile, columns.begin + j, count, [to](int) { return to; });
      store_up_to(to, tile[0][0], count);
    });
  }
  p.epilogue.finish(p.y + columns.begin, p.columns, M, columns.size());
}

template <class T, int M = kStreamedRows>
inline void stream_rows(const StreamRows<T>& p, const Context& context) {
  if constexpr (M > 1) {
    if (p.rows < M) return stream_rows<T, M - 1>(p, context);
  }
  const int64_t chunks = p.chunks(), size = M * p.pitch();
  T* const sums = WorkspaceCutter(context.workspace).take<T>(chunks * size);
  const Range all{0, p.columns};
  parallel_for(threads_for(p.depth * p.columns, context.threads, kStreamNs), chunks, [&](int64_t i) {
    const Range groups = part_of(ceil_div(p.depth, kStreamGroup), chunks, i);
    const Range rows{groups.begin * kStreamGroup, min_of(groups.end * kStreamGroup, p.depth)};
    sum_rows<T, M, false>(p, rows, all, sums + i * size, p.pitch());
  });
  tree_sum(sums, chunks, size, size, sums, threads_for(chunks * size, context.threads));
  finish_rows<T, M>(p, all, sums, p.pitch());
}

// One row: with more, igemm.h is as fast.
template <class T>
inline void chain_row(const StreamRows<T>& p, const Context& context) {
  const int64_t bytes = p.columns * static_cast<int64_t>(sizeof(T)), vectors = ceil_div(p.columns, kLanes<T>);
  const int64_t runs = max_of(min_of(context.threads, bytes / kShortestRun), max_of(bytes / kLongestRun, 1));
  parallel_for(threads_for(p.depth * p.columns, context.threads, kStreamNs), runs, [&](int64_t i) {
    const Range part = part_of(vectors, runs, i);
    const Range columns{part.begin * kLanes<T>, min_of(part.end * kLanes<T>, p.columns)};
    T* const sums = p.y + columns.begin;
    sum_rows<T, 1, true>(p, {0, p.depth}, columns, sums, p.columns);
    finish_rows<T, 1>(p, columns, sums, p.columns);
  });
}

}  // namespace fc::cpu::FC_ISA
