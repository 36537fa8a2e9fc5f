// amx_tile.h — the micro-kernel: up to 32 x 32 sums of float32 products, on AMX tiles of split bfloat16.
//
// Math       out[i][j] (+)= Σ_depth a[i][depth] · b[depth][j], of the parts of amx_split.h: of two parts
//            a2b1 + a1b1 + a1b2, of three a1b1 + a1b3 + a1b2 + a2b2 + a2b1 + a3b1
// Registers  eight tiles: 2 x 2 sums, two tiles of a, two of b; nearly every part is loaded once
// Numerics   u = 2^-24. What two parts leave out of a product is below 2^-15 |a·b|, in the mean of squares
//            2^-17.8; what three leave out is below u |a·b|. The other products are exact; a tile
//            instruction adds 16 even and 16 odd ones in two chains, then both to the sum, each time to
//            nearest: of three parts, a sum of n products is within (n + 13) u Σ|a·b|. Integers are exact as
//            long as Σ|a·b| <= 2^24 and, of two parts, one factor of every product has 8 bits or fewer and
//            the other 16. What is below 2^-126 becomes zero
// Source     Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, TDPBF16PS;
//            products of parts: Henry, Tang, Heinecke, as in amx_split.h
#pragma once

#include "cpu/kernels/amx_split.h"
#include "cpu/kernels/fetch_ahead.h"

namespace fc::cpu::FC_ISA {

struct alignas(64) AmxConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
inline constexpr AmxConfig kAmxConfig;

// The tile registers are this thread's while one lives.
struct AmxSession {
  AmxSession() { _tile_loadconfig(&kAmxConfig); }
  ~AmxSession() { _tile_release(); }
  AmxSession(const AmxSession&) = delete;
  AmxSession& operator=(const AmxSession&) = delete;
};

// One factor in memory: where its second tile, its next part and its next block of 32 depths are, in
// elements, and its rows in bytes.
struct AmxStream {
  const Bfloat16* data;
  int64_t tile, part, block;
  int64_t row_bytes = 64;
};

struct AmxProduct {
  int64_t parts;
  AmxStream a, b;
  const int64_t* jumps;  // a's blocks come in runs of `blocks`; run i begins jumps[i] behind a.data
  int64_t runs, blocks;  // b's blocks lie one behind the other
  float* out;            // 32 x 32, 32 elements from row to row
  bool accumulate;
};

// Tiles 4 and 5 are a's, 6 and 7 b's.
template <int Tile>
FC_INLINE void load_part(const AmxStream& s, const Bfloat16* at, int64_t part) {
  const Bfloat16* from = at + part * s.part + Tile % 2 * s.tile;
  if constexpr (Tile == 4) _tile_loadd(4, from, s.row_bytes);
  if constexpr (Tile == 5) _tile_loadd(5, from, s.row_bytes);
  if constexpr (Tile == 6) _tile_loadd(6, from, s.row_bytes);
  if constexpr (Tile == 7) _tile_loadd(7, from, s.row_bytes);
}

// One part of a times one of b, each product as soon as its operands are there.
template <int R, int C, bool kLoadA, bool kLoadB>
FC_INLINE void multiply_parts(const AmxProduct& p, const Bfloat16* a, int64_t part_a, const Bfloat16* b,
                              int64_t part_b) {
  if constexpr (kLoadA) load_part<4>(p.a, a, part_a);
  if constexpr (kLoadB) load_part<6>(p.b, b, part_b);
  _tile_dpbf16ps(0, 4, 6);
  if constexpr (R > 1) {
    if constexpr (kLoadA) load_part<5>(p.a, a, part_a);
    _tile_dpbf16ps(2, 5, 6);
  }
  if constexpr (C > 1) {
    if constexpr (kLoadB) load_part<7>(p.b, b, part_b);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (R > 1) _tile_dpbf16ps(3, 5, 7);
  }
}

// R x C tiles of sums, each 1 or 2. Between products of parts it steps ahead.
template <int R, int C, int kParts, class Ahead>
__attribute__((noinline)) inline void multiply_split(const AmxProduct& p, Ahead& ahead) {
  asm volatile("" ::: "memory");  // tiles are loaded behind the compiler's back
  constexpr int64_t kRowBytes = 32 * sizeof(float);
  float* lower = p.out + 16 * 32;
  if (p.accumulate) {
    _tile_loadd(0, p.out, kRowBytes);
    if constexpr (C > 1) _tile_loadd(1, p.out + 16, kRowBytes);
    if constexpr (R > 1) _tile_loadd(2, lower, kRowBytes);
    if constexpr (R > 1 && C > 1) _tile_loadd(3, lower + 16, kRowBytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  const AmxProduct q = p;  // in registers
  const Bfloat16* b = q.b.data;
  for (int64_t run = 0; run < q.runs; ++run) {
    const Bfloat16* a = q.a.data + q.jumps[run];
    for (int64_t i = 0; i < q.blocks; ++i, a += q.a.block, b += q.b.block) {
      if constexpr (kParts == 2) {
        multiply_parts<R, C, true, true>(q, a, 1, b, 0);
        ahead.step();
        multiply_parts<R, C, true, false>(q, a, 0, b, 0);
        ahead.step();
        multiply_parts<R, C, false, true>(q, a, 0, b, 1);
        ahead.step();
      } else {
        multiply_parts<R, C, true, true>(q, a, 0, b, 0);
        ahead.step();
        multiply_parts<R, C, false, true>(q, a, 0, b, 2);
        multiply_parts<R, C, false, true>(q, a, 0, b, 1);
        ahead.step();
        multiply_parts<R, C, true, false>(q, a, 1, b, 1);
        multiply_parts<R, C, false, true>(q, a, 1, b, 0);
        ahead.step();
        multiply_parts<R, C, true, false>(q, a, 2, b, 0);
      }
    }
  }
  _tile_stored(0, p.out, kRowBytes);
  if constexpr (C > 1) _tile_stored(1, p.out + 16, kRowBytes);
  if constexpr (R > 1) _tile_stored(2, lower, kRowBytes);
  if constexpr (R > 1 && C > 1) _tile_stored(3, lower + 16, kRowBytes);
  asm volatile("" ::: "memory");
}

inline constexpr int64_t kStepsOfBlock = 3;  // ahead

// Of the 32 x 32 sums at least the first `rows` x `columns`.
template <int kParts, class Ahead>
inline void multiply_split(int64_t rows, int64_t columns, const AmxProduct& p, Ahead& ahead) {
  if (rows > 16) {
    return columns > 16 ? multiply_split<2, 2, kParts>(p, ahead) : multiply_split<2, 1, kParts>(p, ahead);
  }
  return columns > 16 ? multiply_split<1, 2, kParts>(p, ahead) : multiply_split<1, 1, kParts>(p, ahead);
}

template <class Ahead>
inline void multiply_split(int64_t rows, int64_t columns, const AmxProduct& p, Ahead& ahead) {
  return p.parts == 2 ? multiply_split<2>(rows, columns, p, ahead)
                      : multiply_split<3>(rows, columns, p, ahead);
}

inline void multiply_split(int64_t rows, int64_t columns, const AmxProduct& p) {
  NoFetch none;
  multiply_split(rows, columns, p, none);
}

}  // namespace fc::cpu::FC_ISA
