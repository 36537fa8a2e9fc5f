// philox.cuh — Philox4x32-10, one counter at a time: the random words of csrc/cpu/kernels/philox.h.
//
// Math    ten rounds of (c0, c1, c2, c3) -> (hi(B c2) ^ c1 ^ k0, lo(B c2), hi(A c0) ^ c3 ^ k1, lo(A c0));
//         the keys grow by constants from round to round
// Source  Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"
#pragma once

#include "cuda/device/runtime.cuh"

namespace fc::cuda {

__device__ __forceinline__ void philox(uint64_t seed, uint64_t counter, uint32_t (&words)[4]) {
  constexpr uint32_t kA = 0xD2511F53u, kB = 0xCD9E8D57u;
  uint32_t key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
  uint32_t c0 = static_cast<uint32_t>(counter), c1 = static_cast<uint32_t>(counter >> 32), c2 = 0, c3 = 0;
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const uint32_t next0 = __umulhi(kB, c2) ^ c1 ^ key0, next2 = __umulhi(kA, c0) ^ c3 ^ key1;
    c1 = kB * c2;
    c3 = kA * c0;
    c0 = next0;
    c2 = next2;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

}  // namespace fc::cuda
