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

// The same of dividends in [0, limit), whatever the limit.
struct WideDivider {
  int64_t divisor;
  Divider narrow;
  bool wide;

  WideDivider() = default;
  WideDivider(int64_t d, int64_t limit) : divisor(d), wide(d > INT32_MAX || limit > INT32_MAX) {
    if (!wide && d > 0) narrow = Divider(d);
  }

  __device__ __forceinline__ int64_t quotient(int64_t n) const {
    return wide ? n / divisor : narrow.quotient(static_cast<int>(n));
  }
};

}  // namespace fc::cuda
