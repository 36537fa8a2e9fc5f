// blocking.h — every machine number of the matrix kernels: register tiles per ISA, what stays in L1 and L2.
#pragma once

#include <cstdint>

#include "cpu/kernels/work.h"
#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {

// Whether these kernels may use the tile registers of AMX (amx_tile.h).
#if defined(FC_AMX)
inline constexpr bool kHasAmx = true;
#else
inline constexpr bool kHasAmx = false;
#endif

// Register tile: rows x V sums, V <= kTileVectors, plus V vectors of B and one broadcast of A. Narrow tiles
// get more rows: enough sums to hide the latency of fma, and few loads per fma. outer_rows is for neighbours
// in memory; tile_rows for rows that need a pointer, hence a general register, each.
#if FC_VECTOR_BYTES == 64
inline constexpr int kTileVectors = 4;  // 24 + 4 + 1 of 32 registers
constexpr int tile_rows(int vectors) {
  return vectors == 4 ? 6 : 8;
}
constexpr int outer_rows(int vectors) {
  return vectors == 4 ? 6 : vectors == 3 ? 8 : vectors == 2 ? 12 : 16;
}
#else
inline constexpr int kTileVectors = 2;  // 12 + 2 + 1 of 16 registers
constexpr int tile_rows(int vectors) {
  return vectors == 2 ? 6 : 8;
}
constexpr int outer_rows(int vectors) {
  return vectors == 2 ? 6 : 12;
}
#endif

// One block of B, [depth][kTileVectors vectors], that all row tiles pass over. It streams from L2, of which it takes
// half at most: the next one is fetched meanwhile. Tried: a block that stays in L1, also where B is narrow: slower.
inline constexpr int64_t kPanelBytes = FC_VECTOR_BYTES * 4096;

// Rows of a block of B of `bytes`.
constexpr int64_t panel_depth(int64_t bytes) {
  return bytes / (kTileVectors * FC_VECTOR_BYTES);
}

// Forward and backward input.
inline constexpr int64_t kRowBlock = 256;        // rows of the output that share one packed block of B
inline constexpr int64_t kMinRowBlock = 48;      // not cut finer, even to make work for more threads
inline constexpr int64_t kLeastLongBlock = 192;  // the same where B, packed, does not stay in L2
inline constexpr int64_t kPackDepth = 64;        // rows of B that are packed, then checked, in L1
// Of a task: tenths of a second of an old core, which an interrupt has to wait for.
inline constexpr int64_t kMostTaskProducts = int64_t{1} << 29;

// The same with so few rows that B is read in place, once.
inline constexpr int64_t kStreamDepth =
    16;                                    // rows of B read side by side: as many as the hardware prefetches
inline constexpr int64_t kStreamRows = 6;  // rows of A, at most
inline constexpr int64_t kStreamRuns = 8;  // runs of columns: long ones stream better
inline constexpr int kStreamVectors = 8;   // of a single row: enough sums to hide the latency of fma

// So few columns that lanes run along the channels instead. From a quarter of a vector on, sums along lanes have to
// be rare, and the lanes full.
template <class T>
inline constexpr int kDotColumns = kLanes<T> / 2;

template <class T>
constexpr bool suits_dot(int64_t taps, int64_t channels, int64_t columns) {
  if (columns > kDotColumns<T> || channels < kLanes<T>) return false;
  return 4 * columns <= kLanes<T> || (taps * channels / kLanes<T> >= 16 && channels % kLanes<T> == 0);
}

// Weight gradients.
// Pixels summed in registers before a tile is stored. Loading and storing it takes as long as 5 of them: with so
// many that a panel of dy streams from L2, as B does in the forward pass, 3x3 gradients are 2 to 8 % faster (Zen 4)
// than with the 64 or 128 that L1 holds.
inline constexpr int64_t kPixelBlock = 256;
inline constexpr int64_t kMinChunkBlocks = 2;  // pixel blocks per partial sum: adding them stays cheap
inline constexpr int64_t kWeightPartBytes = 512 << 10;  // what one task updates: stays in L2
inline constexpr int64_t kPanelRunBytes = 64 << 10;     // panels of dy packed at a time
inline constexpr int64_t kMinRowRun = 48;  // channels that a task takes from each pixel, at least

// Weight gradients by Winograd's transforms. Planes of transformed tiles and of sums stay in L2.
inline constexpr int64_t kTileBlock = 48;       // tiles summed in registers before a tile of sums is stored
inline constexpr int64_t kWinogradEdge = 64;    // a task owns about this square of channels x columns
inline constexpr int64_t kMinChunkTiles = 128;  // tiles per partial sum: the inverse transform stays cheap

// Whether a tile computes for so long that it can fetch a line per step, or where it is going to be stored,
// meanwhile. A smaller one took 5 % longer.
inline constexpr bool kTileFetches = FC_VECTOR_BYTES == 64;

// Tiles between the one that is computed and the one that is fetched.
inline constexpr int64_t kTilesAhead = 3;

inline constexpr int64_t kMostFolded = 128;  // numbers of a cell of a folded image, see amx_folded.h

inline constexpr int64_t kColumnsBytes = 16 << 10;  // columns of a band, see conv2d_col2im.cpp

inline constexpr int64_t kTasks = 32;  // independent pieces wanted, so that any number of threads balances

// Fewer where they would be over in a moment.
constexpr int64_t tasks_for(int64_t products) {
  return max_of(min_of(products / (4 * kSerialProducts), kTasks), 1);
}

constexpr int64_t round_up(int64_t a, int64_t b) {
  return ceil_div(a, b) * b;
}

// Part i of n items cut into `parts` nearly equal runs: [begin, end).
struct Range {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};
constexpr Range part_of(int64_t n, int64_t parts, int64_t i) {
  return {n * i / parts, n * (i + 1) / parts};
}

}  // namespace fc::cpu::FC_ISA
