// amx_split.h — float32 numbers as sums of two or three bfloat16, laid out as the matrix tiles of AMX want
// them.
//
// Math       v = v1 + v2 (+ v3): v1 is v rounded to bfloat16, v2 what is left rounded to bfloat16, v3 the rest
// Layout     a tile is 16 rows of 16 pairs: 1 KiB. As the left factor, row i holds the pairs of depths
//            (2j, 2j+1); as the right factor, row j holds those pairs for 16 columns. One is the other
//            transposed, pair by pair, so a tile of either is made from a matrix of either order
// Numerics   three parts are exact; two leave out at most 2^-17 |v|, in the mean of squares 2^-18.6. AMX
//            reads subnormal parts as zeros: |v| < 2^-102 loses bits, |v| < 2^-126 counts as 0
// Edges      what lies beyond the matrix is zero. A Splitter notes numbers that AMX must not see
// Source     Henry, Tang, Heinecke, Leveraging the bfloat16 Artificial Intelligence Datatype For
//            Higher-Precision Computations, https://arxiv.org/abs/1904.06376
#pragma once

#include <immintrin.h>

#include "core/numerics.h"
#include "cpu/kernels/work.h"
#include "cpu/simd/transpose.h"

namespace fc::cpu::FC_ISA {

using Bfloat16 = uint16_t;

inline constexpr int64_t kMostParts = 3;
inline constexpr int64_t kTileLines = 16;  // rows of a tile; also columns of the right factor
inline constexpr int64_t kTileDepth = 32;  // terms of a sum that one tile holds
inline constexpr int64_t kTileSize = kTileLines * kTileDepth;  // elements

// Two parts have the error of minimal filtering, see winograd_transform.h; three that of float32 sums.
inline int64_t amx_parts(const Numerics& numerics) {
  return numerics.precision == Precision::strict ? 3 : 2;
}

FC_INLINE __mmask16 first_lanes(int64_t n) {
  return static_cast<__mmask16>(n >= 16 ? 0xffff : n <= 0 ? 0 : (1u << n) - 1);
}

// Splits numbers, and notes whether all of them are finite and below 2^48. With infinities or NaN a product
// of parts may be NaN where the product of the numbers is not; with larger numbers a sum of parts might
// overflow.
class Splitter {
 public:
  explicit Splitter(int64_t parts) : parts_(parts) {}

  int64_t parts() const { return parts_; }
  int64_t tile_size() const { return parts_ * kTileSize; }  // the parts of a tile, one behind the other
  bool ordinary() const {
    return _mm512_cmp_ps_mask(_mm512_abs_ps(sum_), _mm512_set1_ps(__builtin_inff()), _CMP_LT_OQ) == 0xffff;
  }

  // to[part * pitch + i] = part of from[i], i < 32; zeros from n on.
  FC_INLINE void run(const float* from, int64_t n, Bfloat16* to, int64_t pitch) {
    parts_ == 2 ? run_in<2>(from, n, to, pitch) : run_in<3>(from, n, to, pitch);
  }

  // to[part * pitch + 2 * j], … + 1: the parts of even[j], odd[j], j < 16; zeros from n on. A null row is
  // zeros.
  FC_INLINE void pairs(const float* even, const float* odd, int64_t n, Bfloat16* to, int64_t pitch) {
    parts_ == 2 ? pairs_in<2>(even, odd, n, to, pitch) : pairs_in<3>(even, odd, n, to, pitch);
  }

  template <int kParts>
  struct Parts {
    __m512 part[kParts];  // the lower half of every lane is zero, but of subnormal third parts
  };

  template <int kParts>
  FC_INLINE Parts<kParts> split(__m512 v) {
    sum_ = _mm512_fmadd_ps(v, _mm512_set1_ps(0x1p80f), sum_);
    Parts<kParts> p;
#pragma GCC unroll 3
    for (int i = 0; i < kParts; ++i) {
      p.part[i] = i == kMostParts - 1 ? v : round(v);  // of three, the last one is exact
      v = _mm512_sub_ps(v, p.part[i]);
    }
    return p;
  }

  // to[part * pitch + 2 * j], … + 1: the parts of lane j of two vectors.
  template <int kParts>
  FC_INLINE static void store_pairs(const Parts<kParts>& even, const Parts<kParts>& odd, Bfloat16* to,
                                    int64_t pitch) {
#pragma GCC unroll 3
    for (int i = 0; i < kParts; ++i) {
      const __m512i low = _mm512_srli_epi32(_mm512_castps_si512(even.part[i]), 16);
      const __m512i odd_bits = _mm512_castps_si512(odd.part[i]), upper = _mm512_set1_epi32(-0x10000);
      _mm512_storeu_si512(to + i * pitch, _mm512_ternarylogic_epi32(odd_bits, upper, low, kAndOr));
    }
  }

 private:
  static constexpr int kAndOr = 0xea;  // a & b | c

  // To the nearest bfloat16, halves away from zero.
  FC_INLINE static __m512 round(__m512 v) {
    const __m512i bits = _mm512_add_epi32(_mm512_castps_si512(v), _mm512_set1_epi32(0x8000));
    return _mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32(-0x10000)));
  }

  template <int kParts>
  FC_INLINE void run_in(const float* from, int64_t n, Bfloat16* to, int64_t pitch) {
    const auto low = split<kParts>(_mm512_maskz_loadu_ps(first_lanes(n), from));
    const auto high = split<kParts>(_mm512_maskz_loadu_ps(first_lanes(n - 16), from + 16));
#pragma GCC unroll 3
    for (int i = 0; i < kParts; ++i) {
      _mm512_storeu_si512(to + i * pitch, (__m512i)_mm512_cvtne2ps_pbh(high.part[i], low.part[i]));
    }
  }

  template <int kParts>
  FC_INLINE void pairs_in(const float* even, const float* odd, int64_t n, Bfloat16* to, int64_t pitch) {
    const auto first = split<kParts>(_mm512_maskz_loadu_ps(first_lanes(even ? n : 0), even));
    const auto second = split<kParts>(_mm512_maskz_loadu_ps(first_lanes(odd ? n : 0), odd));
    store_pairs<kParts>(first, second, to, pitch);
  }

  int64_t parts_;
  __m512 sum_ = _mm512_setzero_ps();
};

inline void transpose_tile(Bfloat16* tile) {
  Vec<float> square[kTileLines];
  for (int64_t i = 0; i < kTileLines; ++i) std::memcpy(&square[i], tile + i * kTileDepth, sizeof(square[i]));
  transpose<float>(square);
  for (int64_t i = 0; i < kTileLines; ++i) std::memcpy(tile + i * kTileDepth, &square[i], sizeof(square[i]));
}

// A factor of a product: element (line, depth) of a matrix, lines being rows of the left factor or columns of
// the right one.
struct Factor {
  const float* data;
  int64_t line_stride, depth_stride;  // one of them is 1
  bool right;

  // The tile of lines [line, line + lines) x depths [depth, depth + depths), part by part.
  void split(int64_t line, int64_t lines, int64_t depth, int64_t depths, Bfloat16* to,
             Splitter& splitter) const {
    const float* from = data + line * line_stride + depth * depth_stride;
    if (depth_stride == 1) {
      for (int64_t i = 0; i < kTileLines; ++i) {
        splitter.run(from + min_of(i, lines - 1) * line_stride, i < lines ? depths : 0, to + i * kTileDepth,
                     kTileSize);
      }
    } else {
      for (int64_t i = 0; i < kTileLines; ++i) {
        const float* row = from + 2 * i * depth_stride;
        splitter.pairs(2 * i < depths ? row : nullptr, 2 * i + 1 < depths ? row + depth_stride : nullptr,
                       lines, to + i * kTileDepth, kTileSize);
      }
    }
    if (right == (depth_stride == 1)) {
      for (int64_t i = 0; i < splitter.parts(); ++i) transpose_tile(to + i * kTileSize);
    }
  }
};

}  // namespace fc::cpu::FC_ISA
