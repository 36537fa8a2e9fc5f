// amx_block.h — factors cut into pairs of tiles, and what happens to a finished block of 32 x 32 sums.
#pragma once

#include "cpu/kernels/amx_tile.h"
#include "cpu/kernels/epilogue.h"

namespace fc::cpu::FC_ISA {

inline constexpr int64_t kPairLines = 2 * kTileLines;
// Elements of two tiles, all parts of each.
inline int64_t pair_block(int64_t parts) {
  return 2 * parts * kTileSize;
}

inline constexpr int64_t kPairSums = kPairLines * kPairLines;

// Lines [line, line + lines) of a factor, at most kPairLines, in `count` blocks of depth from `first` on:
// to[block][tile][part], which pair_stream() describes.
inline void split_pair(const Factor& f, int64_t line, int64_t lines, int64_t depth, int64_t first,
                       int64_t count, Bfloat16* to, Splitter& splitter) {
  for (int64_t block = first; block < first + count; ++block, to += 2 * splitter.tile_size()) {
    const int64_t at = block * kTileDepth, depths = min_of(kTileDepth, depth - at);
    f.split(line, min_of(lines, kTileLines), at, depths, to, splitter);
    if (lines > kTileLines) {
      f.split(line + kTileLines, lines - kTileLines, at, depths, to + splitter.tile_size(), splitter);
    }
  }
}

inline AmxStream pair_stream(const Bfloat16* pair, int64_t parts) {
  return {pair, parts * kTileSize, kTileSize, pair_block(parts)};
}

// Whether a thread has seen numbers that AMX must not see.
inline bool any_refused(const int32_t* refused, int threads) {
  int32_t any = 0;
  for (int i = 0; i < threads; ++i) any |= refused[i];
  return any != 0;
}

// Rows of a block of sums on their way to memory: `count` of them, to out + column, step elements apart.
struct SumRows {
  const float* sums;
  int64_t count;
  float* out;
  int64_t step;
};

// Takes no interest in results.
struct NoGather {
  template <int M, int V>
  FC_INLINE void add(const Vec<float> (&)[M][V], const float*, int64_t, int64_t) {}
};

// M rows from row `i` on, of V vectors; the last one has `tail` columns.
template <int M, int V, class Gather>
FC_INLINE void store_vectors(const SumRows& rows, int64_t i, int64_t column, int64_t tail,
                             const Epilogue<float>& epilogue, Gather& gather) {
  const float* from = rows.sums + i * kPairLines;
  float* const to = rows.out + i * rows.step + column;
  Vec<float> tile[M][V];
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) tile[m][v] = load(from + m * kPairLines + v * kTileLines);
  epilogue.apply(tile, column, tail, [&](int m) { return to + m * rows.step; });
  gather.add(tile, to, rows.step, tail);
#pragma GCC unroll 8
  for (int m = 0; m < M; ++m)
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v)
      store_up_to(to + m * rows.step + v * kTileLines, tile[m][v], v == V - 1 ? tail : kTileLines);
}

template <int V, class Gather>
inline void store_sums(const SumRows& rows, int64_t column, int64_t tail, const Epilogue<float>& epilogue,
                       Gather& gather) {
  int64_t i = 0;  // some rows at a time, which share what the epilogue reads per column
  for (; i + 8 <= rows.count; i += 8) store_vectors<8, V>(rows, i, column, tail, epilogue, gather);
  for (; i + 2 <= rows.count; i += 2) store_vectors<2, V>(rows, i, column, tail, epilogue, gather);
  if (i < rows.count) store_vectors<1, V>(rows, i, column, tail, epilogue, gather);
}

// gather.add(results, …) sees the results of epilogues that fit registers.
template <class Gather>
inline void store_sums(const SumRows& rows, int64_t column, int64_t columns, const Epilogue<float>& epilogue,
                       Gather& gather) {
  columns > kTileLines ? store_sums<2>(rows, column, columns - kTileLines, epilogue, gather)
                       : store_sums<1>(rows, column, columns, epilogue, gather);
  epilogue.finish(rows.out + column, rows.step, rows.count, columns);
}

inline void store_sums(const SumRows& rows, int64_t column, int64_t columns,
                       const Epilogue<float>& epilogue) {
  NoGather none;
  store_sums(rows, column, columns, epilogue, none);
}

}  // namespace fc::cpu::FC_ISA
