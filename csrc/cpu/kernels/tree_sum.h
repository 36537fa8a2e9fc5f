// tree_sum.h — adds partial results in a fixed binary tree, so that the bits depend on their number alone.
//
// The parts come from other cores: each is read once, and nothing but the sum is written. As in a binary
// counter, at most one sum per level waits for its neighbour, in L1.
#pragma once

#include <bit>

#include "cpu/kernels/blocking.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {

// Elements at a time, of fewer than 2^28 parts: the caller's stack has room for them, even a small one.
inline constexpr int64_t kTreeBlock = 256;
inline constexpr int kTreeLevels = 28;

// At most kTreeBlock elements. out may be the first part.
template <class T>
inline void tree_sum_block(const T* parts, int64_t count, int64_t stride, int64_t n, T* out) {
  T sums[kTreeLevels][kTreeBlock];
  const T* waiting[kTreeLevels];  // of 2^level parts each
  const auto add = [n](const T* a, const T* b, T* to) {
    for_each_vector<T>(n, [&](int64_t j, int64_t lanes) {
      store_up_to(to + j, load_up_to(a + j, lanes) + load_up_to(b + j, lanes), lanes);
    });
  };
  for (int64_t i = 0; i < count; ++i) {
    const int level = std::countr_one(static_cast<uint64_t>(i));
    const T* sum = parts + i * stride;
    T* const to = i + 1 < count ? sums[level] : out;
    for (int below = 0; below < level; ++below, sum = to) add(waiting[below], sum, to);
    waiting[level] = sum;
  }
  int level = std::countr_zero(static_cast<uint64_t>(count));
  const T* sum = waiting[level];
  while (count >> ++level != 0) {
    if (count >> level & 1) add(waiting[level], sum, out), sum = out;
  }
  if (sum != out) std::memcpy(out, sum, static_cast<size_t>(n) * sizeof(T));
}

// out[j] = Σ_i parts[i * stride + j], i < count >= 1, j < n. out may be `parts`.
template <class T>
inline void tree_sum(const T* parts, int64_t count, int64_t stride, int64_t n, T* out, int threads) {
  parallel_blocks(threads, n, kTreeBlock, [&](int64_t begin, int64_t end) {
    tree_sum_block(parts + begin, count, stride, end - begin, out + begin);
  });
}

}  // namespace fc::cpu::FC_ISA
