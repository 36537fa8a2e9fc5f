// divider.cuh — n / d for a divisor that the host knows: a multiplication and a shift.
//
// Math       with s = ceil(log2 d) and magic = ceil(2^(31+s) / d), n / d = (n * magic) >> (31 + s)
//            for 0 <= n < 2^31
// Source     Granlund and Montgomery, Division by Invariant Integers using Multiplication, PLDI 1994
#pragma once

#include <bit>

#include "cuda/device/runtime.cuh"

namespace fc::cuda {

struct Divider {
  uint32_t divisor = 1, magic = 1u << 31, shift = 31;

  Divider() = default;
  explicit Divider(int64_t d) : divisor(static_cast<uint32_t>(d)) {
    const auto log2 = static_cast<uint32_t>(std::bit_width(divisor - 1));
    shift = 31 + log2;
    magic = static_cast<uint32_t>(((uint64_t{1} << shift) + divisor - 1) / divisor);
  }

  __device__ __forceinline__ int quotient(int n) const {
    return static_cast<int>((static_cast<uint64_t>(static_cast<uint32_t>(n)) * magic) >> shift);
  }
  // n becomes n mod d; the quotient is returned.
  __device__ __forceinline__ int divide(int& n) const {
    const int q = quotient(n);
    n -= q * static_cast<int>(divisor);
    return q;
  }
};

}  // namespace fc::cuda
