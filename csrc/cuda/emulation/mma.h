// mma.h — the tensor cores' warp-wide instructions on the host; layouts: cuda/device/mma.cuh.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cuda/emulation/block.h"
#include "cuda/emulation/half.h"

namespace fc::cuda::emulation {

inline uint32_t round_to_tf32(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7f800000u) == 0x7f800000u) return bits & ~0x1fffu;  // infinity, and a quiet NaN
  return (bits + 0x1000u) & ~0x1fffu;
}

inline float widen_half(__half v) {
  return __half2float(v);
}
inline float widen_half(__nv_bfloat16 v) {
  return __bfloat162float(v);
}

// The numbers that a word holds, in the order of their depth; TF32 ignores the 13 lowest bits.
template <class T>
void unpack_word(uint32_t word, float* to) {
  if constexpr (std::is_same_v<T, float>) {
    *to = std::bit_cast<float>(word & ~0x1fffu);
  } else {
    to[0] = widen_half(T{static_cast<uint16_t>(word)});
    to[1] = widen_half(T{static_cast<uint16_t>(word >> 16)});
  }
}

template <class T>
void mma(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  constexpr int kPerWord = std::is_same_v<T, float> ? 1 : 2, kPerChunk = 4 * kPerWord;
  Block& block = Block::current();
  const uint32_t mine[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
  const Block::Words* of_lane = block.exchange_words(mine, 6);
  const unsigned g = block.lane() / 4, t = block.lane() % 4;
  float rows[2][2 * kPerChunk], columns[2][2 * kPerChunk];
  for (int chunk = 0; chunk < 2; ++chunk) {
    for (unsigned word = 0; word < 4; ++word) {
      const size_t at = chunk * kPerChunk + word * kPerWord;
      for (int i = 0; i < 2; ++i) {
        unpack_word<T>(of_lane[4 * g + word][2 * chunk + i], &rows[i][at]);
        unpack_word<T>(of_lane[4 * (2 * t + i) + word][4 + chunk], &columns[i][at]);
      }
    }
  }
  for (int i = 0; i < 2; ++i) {
    for (int j = 0; j < 2; ++j) {  // products of such short numbers are exact, and need no fma
      for (int k = 0; k < 2 * kPerChunk; ++k) c[2 * i + j] += rows[i][k] * columns[j][k];
    }
  }
}

inline void load_matrices(uint32_t (&words)[4], const void* row, bool transposed) {
  Block& block = Block::current();
  const uint64_t* rows = block.exchange(reinterpret_cast<uintptr_t>(row), ~0u);
  const unsigned g = block.lane() / 4, t = block.lane() % 4;
  for (unsigned m = 0; m < 4; ++m) {
    const auto number = [&](unsigned r, unsigned column) {
      uint16_t bits;
      std::memcpy(&bits, reinterpret_cast<const unsigned char*>(rows[8 * m + r]) + 2 * column, 2);
      return uint32_t{bits};
    };
    words[m] = transposed ? number(2 * t, g) | number(2 * t + 1, g) << 16
                          : number(g, 2 * t) | number(g, 2 * t + 1) << 16;
  }
}

}  // namespace fc::cuda::emulation
