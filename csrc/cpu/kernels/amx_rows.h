// amx_rows.h — the product of amx_gemm.h for a few rows: the same bits without tiles, at the speed of memory.
//
// A tile instruction takes as long for one row as for sixteen, and b has to be split into tiles first. With a
// few rows it is faster to stream b through vectors, and to add in the order in which the tiles do.
//
// Math       out[i][j] = epilogue(Σ_d a[i][d] · b[d][j])     i < kAmxRows, b as it lies
// Blocking   a task owns a run of columns. For each block of 32 depths it passes over its columns, two
//            vectors at a time, and fetches what comes next of each of the 32 lines of b
// Threads    over runs of columns, one writer each
// Numerics   to the bit those of amx_tile.h: of every block, per product of parts, one chain of fma over the
//            even depths and one over the odd ones; both are added, then added to the sum. Subnormal numbers
//            count as zeros, here before they are split
// Workspace  amx_rows_workspace(p, threads) bytes: the parts of a
// Edges      false, and `out` is left undefined, where a factor has infinities, NaN or very large numbers
#pragma once

#include "cpu/kernels/amx_gemm.h"
#include "cpu/simd/subnormals.h"

namespace fc::cpu::FC_ISA {

inline constexpr int64_t kAmxRows = 4;      // of two parts, half of three
inline constexpr int64_t kAmxRowsRuns = 8;  // runs of columns, so that any number of threads balances,
inline constexpr int64_t kAmxRowsRun = 16;  // of so many vectors at most

inline bool suits_amx_rows(const AmxGemm& p) {
  return p.rows <= (p.parts == 2 ? kAmxRows : kAmxRows / 2) && p.b.line_stride == 1 && !p.chunked;
}

// The products of parts in the order of multiply_split: of a's part and b's.
template <int kParts>
struct AmxProducts;
template <>
struct AmxProducts<2> {
  static constexpr int count = 3, a[] = {1, 0, 0}, b[] = {0, 0, 1};
};
template <>
struct AmxProducts<3> {
  static constexpr int count = 6, a[] = {0, 0, 0, 1, 1, 2}, b[] = {0, 2, 1, 1, 0, 0};
};

struct AmxRowsWorkspace {
  float* a;  // [row][part][depth]
  int32_t* refused;
  size_t bytes;

  AmxRowsWorkspace(const AmxGemm& p, int threads, void* base) {
    WorkspaceCutter cutter(base);
    a = cutter.take<float>(p.rows * p.parts * p.depth);
    refused = cutter.take<int32_t>(threads);
    bytes = cutter.bytes();
  }
};

inline size_t amx_rows_workspace(const AmxGemm& p, int threads) {
  return AmxRowsWorkspace(p, threads, nullptr).bytes;
}

// sums[i][v] += the products of depths [first, first + depths) in columns [column, column + V vectors).
template <int kParts, int M, int V>
FC_INLINE void add_block(const AmxGemm& p, const float* a, int64_t first, int64_t depths, int64_t column,
                         int64_t columns, const float* next, Splitter& splitter, __m512 (&sums)[M][V]) {
  using Products = AmxProducts<kParts>;
  __m512 chains[M][V][Products::count][2] = {};
  __mmask16 mask[V];
#pragma GCC unroll 8
  for (int v = 0; v < V; ++v) mask[v] = first_lanes(columns - v * kTileLines);
  const float* row = p.b.data + first * p.b.depth_stride + column;
  const auto add = [&](int64_t d, int odd) __attribute__((always_inline)) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
      const auto b = splitter.split<kParts>(_mm512_maskz_loadu_ps(mask[v], row + v * kTileLines));
#pragma GCC unroll 8
      for (int i = 0; i < M; ++i) {
#pragma GCC unroll 8
        for (int k = 0; k < Products::count; ++k) {
          const float* value = a + (i * kParts + Products::a[k]) * p.depth + d;
          chains[i][v][k][odd] =
              _mm512_fmadd_ps(_mm512_set1_ps(*value), b.part[Products::b[k]], chains[i][v][k][odd]);
        }
      }
    }
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) _mm_prefetch(next + v * kTileLines, _MM_HINT_T0);
    row += p.b.depth_stride, next += p.b.depth_stride;
  };
  int64_t d = first;
  for (; d + 1 < first + depths; d += 2) add(d, 0), add(d + 1, 1);
  if (d < first + depths) add(d, 0);
#pragma GCC unroll 8
  for (int i = 0; i < M; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) {
#pragma GCC unroll 8
      for (int k = 0; k < Products::count; ++k) {
        sums[i][v] = _mm512_add_ps(sums[i][v], _mm512_add_ps(chains[i][v][k][0], chains[i][v][k][1]));
      }
    }
  }
}

// sums[i][column] of a run of columns over all depths, whole vectors.
template <int kParts, int M, int V>
inline void sum_run(const AmxGemm& p, const float* a, int64_t column, int64_t columns, Splitter& splitter,
                    float (&sums)[M][kAmxRowsRun * kTileLines]) {
  constexpr int64_t L = kTileLines, kAhead = 4 * L;  // columns that are fetched ahead
  const FlushSubnormals flush;
  const int64_t width = round_up(columns, V * L), ahead = min_of(kAhead, width);
  for (int64_t first = 0; first < p.depth; first += kTileDepth) {
    const int64_t depths = min_of(kTileDepth, p.depth - first);
    const float* block = p.b.data + first * p.b.depth_stride + column;
    for (int64_t j = 0; j < columns; j += V * L) {
      const int64_t to = j + ahead;
      const float* next = block + (to < width ? to : to - width + kTileDepth * p.b.depth_stride);
      __m512 sum[M][V];
#pragma GCC unroll 8
      for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) sum[i][v] = _mm512_load_ps(sums[i] + j + v * L);
      add_block<kParts, M, V>(p, a, first, depths, column + j, columns - j, next, splitter, sum);
#pragma GCC unroll 8
      for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) _mm512_store_ps(sums[i] + j + v * L, sum[i][v]);
    }
  }
}

template <int kParts, int M, int V>
inline void multiply_run(const AmxGemm& p, const float* a, int64_t column, int64_t columns,
                         Splitter& splitter) {
  alignas(64) float sums[M][kAmxRowsRun * kTileLines] = {};
  sum_run<kParts, M, V>(p, a, column, columns, splitter, sums);
  for (int64_t j = 0; j < columns; j += kTileLines) {
    const int64_t count = min_of(kTileLines, columns - j);
    for (int i = 0; i < M; ++i) {
      float* const to = p.out + i * p.columns + column + j;
      Vec<float> tile[1][1] = {{load(sums[i] + j)}};
      p.epilogue.apply(tile, column + j, count, [to](int) { return to; });
      store_up_to(to, tile[0][0], count);
    }
  }
  p.epilogue.finish(p.out + column, p.columns, M, columns);
}

template <int kParts, int M>
inline bool amx_rows(const AmxGemm& p, const Context& context) {
  if constexpr (M > 1) {
    if (p.rows < M) return amx_rows<kParts, M - 1>(p, context);
  }
  constexpr int V = kParts == 2 && M == 1 ? 2 : 1;
  const AmxRowsWorkspace w(p, context.threads, context.workspace);
  const int threads =
      threads_for_products(p.rows * p.columns * p.depth, p.columns * p.depth, context.threads);
  for (int i = 0; i < threads; ++i) w.refused[i] = 0;
  Splitter rows(kParts);
  for (int64_t i = 0; i < M; ++i) {
    for (int64_t d = 0; d < p.depth; d += kTileLines) {
      const __mmask16 mask = first_lanes(p.depth - d);
      const auto parts = rows.split<kParts>(_mm512_maskz_loadu_ps(mask, p.a.data + i * p.depth + d));
      for (int part = 0; part < kParts; ++part)
        _mm512_mask_storeu_ps(w.a + (i * kParts + part) * p.depth + d, mask, parts.part[part]);
    }
  }
  if (!rows.ordinary()) return false;
  const int64_t vectors = ceil_div(p.columns, kTileLines);
  const int64_t runs = max_of(ceil_div(vectors, kAmxRowsRun), min_of(kAmxRowsRuns, vectors / V));
  parallel_for_slots(threads, runs, [&](int64_t run, int slot) {
    Splitter splitter(kParts);
    const Range part = part_of(vectors, runs, run);
    const int64_t begin = part.begin * kTileLines, end = min_of(part.end * kTileLines, p.columns);
    multiply_run<kParts, M, V>(p, w.a, begin, end - begin, splitter);
    w.refused[slot] |= !splitter.ordinary();
  });
  return !any_refused(w.refused, threads);
}

inline bool amx_rows(const AmxGemm& p, const Context& context) {
  return p.parts == 2 ? amx_rows<2, kAmxRows>(p, context) : amx_rows<3, kAmxRows / 2>(p, context);
}

}  // namespace fc::cpu::FC_ISA
