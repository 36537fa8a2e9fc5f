// divide.cuh — division by a number that the host knows: one multiplication where the dividend has 31 bits.
//
// Math    with s = ceil(log2 d) and f = ceil(2^(31+s) / d), floor(n / d) = (n f) >> (31+s) for 0 <= n < 2^31:
//         f d exceeds 2^(31+s) by less than 2^s, so n f / 2^(31+s) exceeds n / d by less than 1 / d
// Source  Granlund, Montgomery 1994, "Division by invariant integers using multiplication"
#pragma once

#include "cuda/device/runtime.cuh"

namespace fc::cuda {

struct Divider {
  int64_t divisor;
  uint32_t factor, shift;  // factor 0: the division is done as such

  Divider() = default;
  // For dividends in [0, limit).
  Divider(int64_t divisor, int64_t limit) : divisor(divisor), factor(0), shift(0) {
    if (divisor < 2 || divisor > INT32_MAX || limit > int64_t{1} << 31) return;
    uint32_t log2 = 0;
    while (int64_t{1} << log2 < divisor) ++log2;
    factor = static_cast<uint32_t>(((uint64_t{1} << (31 + log2)) + static_cast<uint64_t>(divisor) - 1) /
                                   static_cast<uint64_t>(divisor));
    shift = log2 - 1;
  }

  __device__ __forceinline__ int64_t quotient(int64_t n) const {
    if (factor != 0) return __umulhi(static_cast<uint32_t>(n), factor) >> shift;
    return divisor == 1 ? n : n / divisor;
  }
};

}  // namespace fc::cuda
