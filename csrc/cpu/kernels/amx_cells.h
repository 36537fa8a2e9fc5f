// amx_cells.h — 32 cells of 16 channels, which may lie anywhere, as tiles whose depth is the cells.
//
// Layout     a row of a tile of pairs holds two neighbouring cells, channel by channel: the right factor. Its
//            transpose is the left factor. Pairs begin at even cells and, where asked for, at odd ones too
#pragma once

#include "cpu/kernels/amx_split.h"

namespace fc::cpu::FC_ISA {

inline constexpr int64_t kNumbers = kTileDepth;   // cells of a tile
inline constexpr int64_t kPairSize = kTileDepth;  // elements of 16 channels of two cells

// Some cells, of which 16 channels from `first` on are wanted, or several times 16; a null cell is zeros.
struct CellRows {
  const float* const* cells;
  int64_t first, channels;
  int64_t pixel;  // from a cell to the next one in memory

  CellRows from(int64_t channel) const { return {cells, first + channel, channels, pixel}; }

  FC_INLINE __m512 row(int64_t i, int64_t offset = 0) const {
    alignas(64) static constexpr float kZeros[kTileLines] = {};
    const float* from = cells[i] != nullptr ? cells[i] + first + offset : kZeros;
    return _mm512_maskz_loadu_ps(first_lanes(channels - first - offset), from);
  }
  // What the processor does not fetch by itself: rows of neighbouring cells, of which one tile takes a part.
  FC_INLINE __m512 row_of_tile(int64_t i) const {
    if (cells[i] != nullptr) __builtin_prefetch(cells[i] + first + kNumbers * pixel);
    return row(i);
  }
};

// 16 pairs of each of some tiles, `tile` elements apart: row by row, as the cells lie in memory.
template <int kParts>
inline void split_even_rows(const CellRows& rows, int64_t tiles, Bfloat16* to, int64_t tile, int64_t part,
                            Splitter& splitter) {
  Splitter own = splitter;  // in registers
  for (int64_t i = 0; i < kNumbers; i += 2, to += kPairSize) {
    for (int64_t t = 0; t < tiles; ++t) {
      const auto even = own.split<kParts>(rows.row(i, t * kTileLines));
      const auto odd = own.split<kParts>(rows.row(i + 1, t * kTileLines));
      own.store_pairs<kParts>(even, odd, to + t * tile, part);
    }
  }
  splitter = own;
}

// 16 pairs of one tile.
template <int kParts>
inline void split_even_pairs(const CellRows& rows, Bfloat16* to, int64_t part, Splitter& splitter) {
  Splitter own = splitter;
  for (int64_t i = 0; i < kNumbers; i += 2, to += kPairSize) {
    const auto even = own.split<kParts>(rows.row_of_tile(i)),
               odd = own.split<kParts>(rows.row_of_tile(i + 1));
    own.store_pairs<kParts>(even, odd, to, part);
  }
  splitter = own;
}

// The same and, behind their parts, the pairs that begin at odd cells: of 33 cells.
template <int kParts>
inline void split_all_pairs(const CellRows& rows, Bfloat16* to, int64_t part, Splitter& splitter) {
  Splitter own = splitter;
  auto even = own.split<kParts>(rows.row_of_tile(0));
  for (int64_t i = 0; i < kNumbers; i += 2, to += kPairSize) {
    const auto odd = own.split<kParts>(rows.row_of_tile(i + 1));
    own.store_pairs<kParts>(even, odd, to, part);
    even = own.split<kParts>(rows.row_of_tile(i + 2));
    own.store_pairs<kParts>(odd, even, to + kParts * part, part);
  }
  splitter = own;
}

// Parts are `part` elements apart.
inline void split_rows(const CellRows& rows, int64_t tiles, Bfloat16* to, int64_t tile, int64_t part,
                       Splitter& splitter) {
  splitter.parts() == 2 ? split_even_rows<2>(rows, tiles, to, tile, part, splitter)
                        : split_even_rows<3>(rows, tiles, to, tile, part, splitter);
}
inline void split_cells(const CellRows& rows, bool odd_too, Bfloat16* to, int64_t part, Splitter& splitter) {
  if (splitter.parts() == 2) {
    odd_too ? split_all_pairs<2>(rows, to, part, splitter) : split_even_pairs<2>(rows, to, part, splitter);
  } else {
    odd_too ? split_all_pairs<3>(rows, to, part, splitter) : split_even_pairs<3>(rows, to, part, splitter);
  }
}

}  // namespace fc::cpu::FC_ISA
