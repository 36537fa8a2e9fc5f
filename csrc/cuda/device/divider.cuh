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

// The same of dividends in [0, limit), limit < 2^62: as a product of 128 bits where 31 are too few. Division
// itself would be a call, for which the caller spills its registers.
struct WideDivider {
  int64_t divisor;
  Divider narrow;
  bool wide;
  uint32_t shift;
  uint64_t magic;  // ceil(2^(63+shift) / divisor)

  WideDivider() = default;
  WideDivider(int64_t d, int64_t limit)
      : divisor(d), wide(d > INT32_MAX || limit > INT32_MAX), shift(0), magic(uint64_t{1} << 63) {
    if (!wide && d > 0) narrow = Divider(d);
    if (!wide || d < 2) return;
    const auto unsigned_d = static_cast<uint64_t>(d);
    shift = static_cast<uint32_t>(std::bit_width(unsigned_d - 1));
    magic = static_cast<uint64_t>((((__uint128_t{1} << (63 + shift)) + unsigned_d - 1) / unsigned_d));
  }

  __device__ __forceinline__ int64_t quotient(int64_t n) const {
    if (!wide) return narrow.quotient(static_cast<int>(n));
    return static_cast<int64_t>(__umul64hi(static_cast<uint64_t>(n) << 1, magic) >> shift);
  }
};

}  // namespace fc::cuda
