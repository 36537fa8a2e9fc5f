// philox.h — Philox4x32-10, two registers of counters at a time.
//
// Math       ten rounds of (c0, c1, c2, c3) -> (hi(B c2) ^ c1 ^ k0, lo(B c2), hi(A c0) ^ c3 ^ k1, lo(A c0));
//            the keys grow by constants from round to round
// Blocking   a 64-bit lane holds one word of one counter in its lower half. What a round leaves in the upper
//            half stays there: the next product reads lower halves alone.
// Source     Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"
#pragma once

#include <utility>

#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {

class Philox {
  static constexpr int kLanes64 = kLanes<uint64_t>;
  static constexpr int kRegisters = 2;  // independent rounds hide the latency of the products
  static constexpr int kRounds = 10;

 public:
  static constexpr int64_t kWords = 4;                               // random words per counter
  static constexpr int64_t kChunk = kWords * kRegisters * kLanes64;  // words per call

  explicit Philox(uint64_t seed) {
    uint32_t key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
    for (int round = 0; round < kRounds; ++round) {
      key0_[round] = key0;
      key1_[round] = key1;
      key0 = static_cast<uint32_t>(key0 + uint64_t{0x9E3779B9});  // modulo 2^32 on purpose
      key1 = static_cast<uint32_t>(key1 + uint64_t{0xBB67AE85});
    }
  }

  // out[i] = word i % 4 of counter first + i / 4, i < kChunk.
  FC_INLINE void words(uint64_t first, uint32_t* out) const {
    const Words counters = lane_counters(std::make_integer_sequence<int, kLanes64>());
    Words c[kRegisters][kWords];
#pragma GCC unroll 2
    for (int i = 0; i < kRegisters; ++i) {
      c[i][0] = counters + (first + static_cast<uint64_t>(i * kLanes64));
      c[i][1] = c[i][0] >> 32;
      c[i][2] = c[i][3] = Words{};
    }
#pragma GCC unroll 10
    for (int round = 0; round < kRounds; ++round) {
#pragma GCC unroll 2
      for (int i = 0; i < kRegisters; ++i) {
        const Words a = multiply_lower_halves(c[i][0], Words{} + 0xD2511F53u);
        const Words b = multiply_lower_halves(c[i][2], Words{} + 0xCD9E8D57u);
        c[i][0] = (b >> 32) ^ c[i][1] ^ key0_[round];
        c[i][1] = b;
        c[i][2] = (a >> 32) ^ c[i][3] ^ key1_[round];
        c[i][3] = a;
      }
    }
#pragma GCC unroll 2
    for (int i = 0; i < kRegisters; ++i) {
      const Words low = join_lower_halves(c[i][0], c[i][1]), high = join_lower_halves(c[i][2], c[i][3]);
      store_counters(low, high, out + i * kWords * kLanes64, std::make_integer_sequence<int, kLanes64>());
    }
  }

 private:
  using Words = Vec<uint64_t>;

  // Even lanes hold the first half of the counters, odd lanes the second: then storing takes one interleaving
  // inside each 16 bytes, which every ISA has.
  template <int... Lane>
  static FC_INLINE Words lane_counters(std::integer_sequence<int, Lane...>) {
    return Words{static_cast<uint64_t>(Lane / 2 + Lane % 2 * kLanes64 / 2)...};
  }
  static FC_INLINE Words join_lower_halves(Words even, Words odd) {
    return (even & uint64_t{0xFFFFFFFFu}) | (odd << 32);
  }
  template <int... Lane>
  static FC_INLINE void store_counters(Words low, Words high, uint32_t* out,
                                       std::integer_sequence<int, Lane...>) {
    const Words first = __builtin_shufflevector(low, high, (Lane / 2 * 2 + Lane % 2 * kLanes64)...);
    const Words second = __builtin_shufflevector(low, high, (Lane / 2 * 2 + 1 + Lane % 2 * kLanes64)...);
    std::memcpy(out, &first, sizeof(first));
    std::memcpy(out + 2 * kLanes64, &second, sizeof(second));
  }

  uint64_t key0_[kRounds], key1_[kRounds];
};

}  // namespace fc::cpu::FC_ISA
