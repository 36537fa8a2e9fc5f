// parallel.h — loops over threads, the only kind of parallelism that kernels know.
#pragma once

#include <cstdint>

#include "cpu/team.h"

namespace fc::cpu::FC_ISA {

template <class F>
void run_range(const void* function, int64_t begin, int64_t end, int slot) {
  const F& f = *static_cast<const F*>(function);
  for (int64_t i = begin; i < end; ++i) f(i, slot);
}

// Calls f(i, slot) for every i in [0, n) on the crew, or on at most so many threads. Each i must own what it
// writes; the slot in [0, crew.threads) owns a private workspace for the time of a call. Neighbouring i are
// likely to follow each other on one thread, but any thread may run any i.
template <class F>
inline void parallel_for_slots(Crew crew, int64_t n, const F& f) {
  if (n <= 1) return run_range<F>(&f, 0, n, 0);
  run_loop(crew, {&run_range<F>, &f, n});
}

// As parallel_for_slots, where no workspace is needed.
template <class F>
inline void parallel_for(Crew crew, int64_t n, const F& f) {
  parallel_for_slots(crew, n, [&](int64_t i, int) { f(i); });
}

// Elements [begin, end) in blocks of `block`: elementwise loops, serial when the work is smaller than a
// block.
template <class F>
inline void parallel_blocks(Crew crew, int64_t n, int64_t block, const F& f) {
  const int64_t blocks = (n + block - 1) / block;
  parallel_for(crew, blocks, [&](int64_t i) {
    const int64_t begin = i * block;
    f(begin, begin + block < n ? begin + block : n);
  });
}

}  // namespace fc::cpu::FC_ISA
