// amx_picks.h — a vector of 32 bfloat16 put together from wherever they lie: a permutation of neighbours per
// place, masked into one result. The permutations are worked out once and used all along an array.
#pragma once

#include <immintrin.h>

#include "cpu/kernels/amx_split.h"

namespace fc::cpu::FC_ISA {

// Of the 32 elements from `from` on, lane i takes the one at index[i], where mask has bit i.
struct alignas(64) Pick {
  uint16_t index[kTileDepth];
  int64_t from;
  uint32_t mask;
  bool last;  // of a vector's
};

// Writes the picks that bring base[source[i]] to lane i, in ascending order of place, and returns their end.
inline Pick* make_picks(const int64_t (&source)[kTileDepth], Pick* to) {
  for (uint32_t left = 0xffffffff; left != 0; ++to) {
    int64_t from = 0;
    bool found = false;
    for (int64_t i = 0; i < kTileDepth; ++i) {
      if (left >> i & 1 && (!found || source[i] < from)) from = source[i], found = true;
    }
    *to = {{}, from, 0, false};
    for (int64_t i = 0; i < kTileDepth; ++i) {
      if (!(left >> i & 1) || source[i] >= from + kTileDepth) continue;
      to->index[i] = static_cast<uint16_t>(source[i] - from);
      to->mask |= uint32_t{1} << i;
    }
    left &= ~to->mask;
    to->last = left == 0;
  }
  return to;
}

// A vector of each of several arrays, from_pitch apart, to arrays to_pitch apart. Afterwards `pick` is behind
// its last pick.
template <int kArrays>
FC_INLINE void gather_picks(const Bfloat16* from, int64_t from_pitch, Bfloat16* to, int64_t to_pitch,
                            const Pick*& pick) {
  __m512i v[kArrays] = {};
  do {
    const __m512i index = _mm512_load_si512(pick->index);
#pragma GCC unroll 3
    for (int i = 0; i < kArrays; ++i) {
      v[i] = _mm512_mask_permutexvar_epi16(v[i], pick->mask, index,
                                           _mm512_loadu_si512(from + pick->from + i * from_pitch));
    }
  } while (!pick++->last);
#pragma GCC unroll 3
  for (int i = 0; i < kArrays; ++i) _mm512_storeu_si512(to + i * to_pitch, v[i]);
}

}  // namespace fc::cpu::FC_ISA
