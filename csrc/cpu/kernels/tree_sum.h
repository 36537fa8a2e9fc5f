// tree_sum.h — adds partial results in a fixed binary tree, so that the bits depend on their number alone.
#pragma once

#include "cpu/kernels/blocking.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {

// out[j] = Σ_i parts[i * stride + j], i < count >= 1, j < n. The parts are overwritten.
template <class T>
inline void tree_sum(T* parts, int64_t count, int64_t stride, int64_t n, T* out, int threads) {
  constexpr int64_t kBlock = 2048;
  parallel_blocks(threads, n, kBlock, [&](int64_t begin, int64_t end) {
    for (int64_t gap = 1; gap < count; gap *= 2) {
      for (int64_t i = 0; i + gap < count; i += 2 * gap) {
        T* to = parts + i * stride + begin;
        const T* from = to + gap * stride;
        for (int64_t j = 0; j < end - begin; ++j) to[j] += from[j];
      }
    }
    for (int64_t j = begin; j < end; ++j) out[j] = parts[j];
  });
}

}  // namespace fc::cpu::FC_ISA
