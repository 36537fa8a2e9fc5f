// dropout.cpp — inverted dropout with a counter-based generator.
//
// Math       y[i] = kept(seed, i) ? x[i] / (1 - rate) : 0; its gradient is the same map on dy
// Shapes     any; seed u64 (1)
// Blocking   the words of a few counters at a time, kept in L1 until they are compared
// Threads    over blocks; the mask depends on (seed, i) alone, so neither thread count nor vector width shows
// Numerics   kept iff a 32-bit random word >= floor(rate * 2^32)
// Edges      a dropped NaN is 0
// Source     Srivastava et al. 2014, "Dropout"; the generator: philox.h
#include "core/elementwise_spec.h"
#include "cpu/kernels/philox.h"
#include "cpu/kernels/table.h"
#include "cpu/kernels/work.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {
namespace {

constexpr double kNs = 0.4;  // per element

// Elements [begin, end), begin a multiple of a chunk. Everything by value: through a reference the compiler
// has to fear that y holds the generator's keys.
template <class T>
void drop(Philox philox, uint32_t threshold, T scale, const T* x, T* y, int64_t begin, int64_t end) {
  uint32_t words[Philox::kChunk];
  for (int64_t at = begin; at < end; at += Philox::kChunk) {
    philox.words(static_cast<uint64_t>(at / Philox::kWords), words);
    const int64_t count = min_of(end - at, Philox::kChunk);
    for (int64_t i = 0; i < count; ++i) {
      const T kept = x[at + i] * scale;
      y[at + i] = words[i] >= threshold ? kept : T(0);
    }
  }
}

template <class T>
void dropout(const DropoutSpec& s, const T* x, const uint64_t* seed, T* y, const Context& context) {
  static_assert(kBlockElements % Philox::kChunk == 0);
  const Crew threads = threads_for(s.n, context.threads, kNs);
  const Philox philox(*seed);
  parallel_blocks(threads, s.n, kBlockElements, [&](int64_t begin, int64_t end) {
    if (s.rate >= 1) {  // the one threshold of 33 bits
      for (int64_t i = begin; i < end; ++i) y[i] = T(0);
      return;
    }
    const auto threshold = static_cast<uint32_t>(s.rate * 4294967296.0);
    drop(philox, threshold, static_cast<T>(1 / (1 - s.rate)), x, y, begin, end);
  });
}

}  // namespace

void add_dropout(KernelTable& table) {
  FC_ADD(table, dropout);
}

}  // namespace fc::cpu::FC_ISA
