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

// Rows of a block of sums on their way to memory: row `from[i]` of the block goes to out[i] + column.
struct SumRows {
  int64_t count;
  int32_t from[kPairLines];
  float* out[kPairLines];
};

template <int M, int V>
FC_INLINE void store_vectors(const float* sums, const SumRows& rows, int64_t row, int64_t column,
                             int64_t tail, const Epilogue<float>& epilogue) {
  Vec<float> tile[M][V];
  for (int i = 0; i < M; ++i) {
    for (int v = 0; v < V; ++v) tile[i][v] = load(sums + rows.from[row + i] * kPairLines + v * kTileLines);
  }
  epilogue.apply(tile, column, tail, [&](int i) { return rows.out[row + i] + column; });
  for (int i = 0; i < M; ++i) {
    for (int v = 0; v < V; ++v) {
      store_up_to(rows.out[row + i] + column + v * kTileLines, tile[i][v], v == V - 1 ? tail : kTileLines);
    }
  }
}

template <int M>
FC_INLINE void store_rows(const float* sums, const SumRows& rows, int64_t row, int64_t column,
                          int64_t columns, const Epilogue<float>& epilogue) {
  if (columns > kTileLines) {
    store_vectors<M, 2>(sums, rows, row, column, columns - kTileLines, epilogue);
  } else {
    store_vectors<M, 1>(sums, rows, row, column, columns, epilogue);
  }
}

inline void store_sums(const float* sums, const SumRows& rows, int64_t column, int64_t columns,
                       const Epilogue<float>& epilogue) {
  // Eight rows share what the epilogue reads per column; the last eight may begin with rows that are done.
  int64_t i = 0;
  if (rows.count >= 8) {
    for (; i < rows.count; i += 8) {
      store_rows<8>(sums, rows, min_of(i, rows.count - 8), column, columns, epilogue);
    }
  }
  for (; i < rows.count; ++i) store_rows<1>(sums, rows, i, column, columns, epilogue);
  epilogue.finish(rows.out, rows.count, column, columns);
}

}  // namespace fc::cpu::FC_ISA
