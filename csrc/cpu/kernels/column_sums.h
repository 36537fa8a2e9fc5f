// column_sums.h — sums down the columns of a (rows, width) matrix: what gradients of per-channel parameters
// are.
//
// Rows are folded (folded.h) and cut into blocks of kBlockRows. Inside a block a strip of columns is summed
// in registers in T; a block's sums join those of its part in double, and parts are added in ascending order.
// Nothing depends on the number of threads, and the rounding error grows with kBlockRows, not with rows.
#pragma once

#include "cpu/kernels/folded.h"
#include "cpu/kernels/work.h"
#include "cpu/parallel.h"
#include "cpu/simd/stream.h"

namespace fc::cpu::FC_ISA {

inline constexpr int64_t kBlockRows = 128;

// Rows cut into parts of whole blocks, as many as any number of threads needs to balance.
struct RowParts {
  int64_t rows, blocks, parts;

  explicit RowParts(int64_t rows)
      : rows(rows), blocks(ceil_div(rows, kBlockRows)), parts(min_of(blocks, kMostParts)) {}

  // f(first row, rows) for every block of a part.
  template <class F>
  FC_INLINE void for_each_block(int64_t part, const F& f) const {
    for (int64_t b = blocks * part / parts; b < blocks * (part + 1) / parts; ++b) {
      f(b * kBlockRows, min_of(kBlockRows, rows - b * kBlockRows));
    }
  }
  int64_t part_rows(int64_t part) const {
    return min_of(blocks * (part + 1) / parts * kBlockRows, rows) - blocks * part / parts * kBlockRows;
  }

 private:
  static constexpr int64_t kMostParts = 64;
};

// V registers of columns (the last one `count` wide when V is 1), K sums each.
template <class T, int K, int V, class Add>
FC_INLINE void sum_strip(int64_t begin, int64_t end, int64_t column, int64_t count, int64_t width,
                         const Add& add, double* out) {
  constexpr int64_t L = kLanes<T>;
  Vec<T> sums[V][K] = {};
  for (int64_t row = begin; row < end; ++row) {
    for (int v = 0; v < V; ++v) add(row, column + v * L, count, sums[v]);
  }
  for (int v = 0; v < V; ++v) {
    for (int k = 0; k < K; ++k) {
      for (int64_t i = 0; i < count; ++i) out[k * width + column + v * L + i] += sums[v][k][i];
    }
  }
}

// out[k * width + c] += sum over rows [begin, end) of the k-th term in column c.
// add(row, column, count, sums) adds the terms of `count` neighbours to the vectors sums[0..K).
template <class T, int K, class Add>
FC_INLINE void sum_columns(int64_t begin, int64_t end, int64_t width, const Add& add, double* out) {
  constexpr int64_t L = kLanes<T>;
  int64_t column = 0;  // four registers at once: independent sums hide the latency of the additions
  for (; column + 4 * L <= width; column += 4 * L) sum_strip<T, K, 4>(begin, end, column, L, width, add, out);
  if (column + 3 * L <= width) {
    sum_strip<T, K, 3>(begin, end, column, L, width, add, out);
    column += 3 * L;
  }
  for (; column + L <= width; column += L) sum_strip<T, K, 1>(begin, end, column, L, width, add, out);
  if (column < width) sum_strip<T, K, 1>(begin, end, column, width - column, width, add, out);
}

// Adds the blocks' sums, each `n` doubles, into the first block's place.
inline void add_up_blocks(int64_t blocks, int64_t n, double* partial, int threads) {
  constexpr int64_t kPiece = 256;
  parallel_blocks(threads_for(blocks * n, threads), n, kPiece, [&](int64_t begin, int64_t end) {
    for (int64_t b = 1; b < blocks; ++b) {
      for (int64_t i = begin; i < end; ++i) partial[i] += partial[b * n + i];
    }
  });
}

// Doubles that sum_folded_columns needs.
template <class T>
inline int64_t folded_sums_size(int64_t rows, int64_t width, int sums) {
  const Folded f = folded<T>(rows, width);
  return sums * max_of(1, RowParts(f.rows).parts) * f.width;
}

// K sums per column over all rows: afterwards sums[k * width + c] holds them.
// add(at, column, count, sums) adds the terms of the `count` elements from `at` on, whose coefficients stand
// at `column` of a folded row.
template <class T, int K, class Add>
inline void sum_folded_columns(int64_t rows, int64_t width, int threads, double* sums, const Add& add) {
  const Folded f = folded<T>(rows, width);
  const RowParts cut(f.rows);
  const int64_t size = K * f.width;
  const auto add_row = [&](int64_t row, int64_t c, int64_t count, Vec<T>* to) {
    add(row * f.width + c, c, count, to);
  };
  for (int64_t i = 0; i < max_of(1, cut.parts) * size; ++i) sums[i] = 0;
  parallel_for(threads, cut.parts, [&](int64_t part) {
    cut.for_each_block(part, [&](int64_t first, int64_t count) {
      sum_columns<T, K>(first, first + count, f.width, add_row, sums + part * size);
    });
  });
  add_up_blocks(cut.parts, size, sums, threads);
  if (f.factor == 1) return;
  double rest[K * kMaxFoldedWidth<T>] = {};
  sum_columns<T, K>(f.rows, f.rows + 1, f.rest, add_row, rest);
  for (int k = 0; k < K; ++k) {
    for (int64_t c = 0; c < f.rest; ++c) sums[k * f.width + c] += rest[k * f.rest + c];
    for (int64_t c = 0; c < width; ++c) {
      double total = 0;
      for (int64_t i = 0; i < f.factor; ++i) total += sums[k * f.width + i * width + c];
      sums[k * width + c] = total;
    }
  }
}

// Calls f(at, column, count) for every register of a folded matrix. f holds what it needs by value: each block has
// a copy, which no store can reach, so that it stays in registers.
template <class T, class F>
inline void for_each_folded(int64_t rows, int64_t width, int threads, const F& f) {
  const Folded m = folded<T>(rows, width);
  parallel_blocks(threads, m.rows, rows_per_block(m.width), [&](int64_t first, int64_t last) {
    const F own = f;
    const int64_t columns = m.width;
    for (int64_t row = first; row < last; ++row) {
      for_each_vector<T>(columns, [&](int64_t c, int64_t count) { own(row * columns + c, c, count); });
    }
  });
  for_each_vector<T>(m.rest, [&](int64_t c, int64_t count) { f(m.rows * m.width + c, c, count); });
}

// y[at] = f(at, column, count) for every register of a folded matrix. What outgrows the caches is stored past them,
// and what f reads of `inputs`, arrays like y, is fetched early.
template <class T, class F, class... Inputs>
inline void write_folded(int64_t rows, int64_t width, int threads, T* y, const F& f,
                         const Inputs*... inputs) {
  const bool past_caches = outgrows_caches<T>(rows * width) && is_aligned(y) &&
                           folded<T>(rows, width).width % kLanes<T> == 0 && ((y != inputs) && ...);
  if (!past_caches) {
    return for_each_folded<T>(rows, width, threads, [=](int64_t at, int64_t c, int64_t count) {
      store_up_to(y + at, f(at, c, count), count);
    });
  }
  for_each_folded<T>(rows, width, threads, [=](int64_t at, int64_t c, int64_t count) {
    (prefetch(inputs + at), ...);
    const Vec<T> v = f(at, c, count);
    count == kLanes<T> ? stream(y + at, v) : store_partial(y + at, v, count);
  });
}

}  // namespace fc::cpu::FC_ISA
