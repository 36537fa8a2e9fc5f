// parallel.h — the only place that starts threads. Work is split by shape alone, never by the number of
// threads.
#pragma once

#include <cstdint>

namespace fc::cpu::FC_ISA {

// Calls f(i) for every i in [0, n), in contiguous runs, on at most `threads` threads. Each i must own what it
// writes.
template <class F>
inline void parallel_for(int threads, int64_t n, const F& f) {
  if (threads <= 1 || n <= 1) {
    for (int64_t i = 0; i < n; ++i) f(i);
    return;
  }
  const int team = static_cast<int>(n < threads ? n : threads);
#pragma omp parallel for schedule(static) num_threads(team)
  for (int64_t i = 0; i < n; ++i) f(i);
}

// As parallel_for, and f(i, slot) also gets the slot in [0, threads) whose private workspace it may use.
template <class F>
inline void parallel_for_slots(int threads, int64_t n, const F& f) {
  const int team = static_cast<int>(n < threads ? n : threads);
  if (team <= 1) {
    for (int64_t i = 0; i < n; ++i) f(i, 0);
    return;
  }
#pragma omp parallel for schedule(static, 1) num_threads(team)
  for (int64_t slot = 0; slot < team; ++slot) {
    for (int64_t i = n * slot / team; i < n * (slot + 1) / team; ++i) f(i, static_cast<int>(slot));
  }
}

// Elements [begin, end) in blocks of `block`: elementwise loops, serial when the work is smaller than a block
// or two.
template <class F>
inline void parallel_blocks(int threads, int64_t n, int64_t block, const F& f) {
  const int64_t blocks = (n + block - 1) / block;
  parallel_for(threads, blocks, [&](int64_t i) {
    const int64_t begin = i * block;
    f(begin, begin + block < n ? begin + block : n);
  });
}

}  // namespace fc::cpu::FC_ISA
