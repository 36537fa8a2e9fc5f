// work.h — how much work makes a block, and when threads pay. Both depend on shapes alone.
#pragma once

#include <cstdint>

#include "cpu/team.h"

namespace fc::cpu::FC_ISA {

// Elements that one task of an elementwise loop handles: about 10 microseconds, well above the cost of a
// fork.
inline constexpr int64_t kBlockElements = 16384;

// Multiply-adds that one thread does in about 20 microseconds.
inline constexpr int64_t kSerialProducts = int64_t{2} << 20;

constexpr int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}
constexpr int64_t min_of(int64_t a, int64_t b) {
  return a < b ? a : b;
}
constexpr int64_t max_of(int64_t a, int64_t b) {
  return a > b ? a : b;
}

// What an element of the cheapest loops (copy, relu, add) takes one thread, arrays in the second-level cache.
inline constexpr double kCheapNs = 0.12;
// Below this much work for one thread, waking another one costs more than it takes over: measured with the
// threads asleep, 15 to 40 microseconds.
inline constexpr double kForkNs = 30000;
// From this on a thread that is awake helps: 2.6 instead of 3.4 microseconds, then half of the time.
inline constexpr double kShareNs = 3500;

// One thread for work that is over before others would help; `ns` is what one element takes.
constexpr Crew threads_for(int64_t elements, int threads, double ns = kCheapNs) {
  const double work = static_cast<double>(elements) * ns;
  return {work < kShareNs ? 1 : threads, work >= kForkNs};
}

// The same for mere copies, 10 to 20 microseconds for what the other case does in hundreds.
constexpr int threads_for_copying(int64_t elements, int threads) {
  return elements < 16 * kBlockElements ? 1 : threads;
}

// The same for sums of products: multiply-adds, and weights that have to be fetched for them.
constexpr int threads_for_products(int64_t products, int64_t weights, int threads) {
  return products + 16 * weights < kSerialProducts ? 1 : threads;
}

// Rows of `width` elements that make a block.
constexpr int64_t rows_per_block(int64_t width) {
  return max_of(1, kBlockElements / max_of(1, width));
}

}  // namespace fc::cpu::FC_ISA
