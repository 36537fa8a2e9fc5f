// dropout.cpp — inverted dropout with a counter-based generator.
//
// Math       y[i] = kept(seed, i) ? x[i] / (1 - rate) : 0; its gradient is the same map on dy
// Shapes     any; seed u64 (1)
// Threads    over blocks; the mask depends on (seed, i) alone, so neither thread count nor vector width shows
// Numerics   kept iff a 32-bit random word >= floor(rate * 2^32)
// Edges      a dropped NaN is 0
// Source     Srivastava et al. 2014, "Dropout"
//            Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3" (Philox4x32-10)
#include "core/elementwise_spec.h"
#include "cpu/kernels/table.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {
namespace {

constexpr int64_t kWords = 4;      // random words per counter
constexpr int64_t kCounters = 16;  // counters worked on side by side, for the compiler to vectorise
constexpr int64_t kChunk = kWords * kCounters;

// words[4 * j + k] = word k of counter first + j.
inline void philox(uint64_t seed, uint64_t first, uint32_t* words) {
  uint32_t c[kWords][kCounters];
  for (int64_t j = 0; j < kCounters; ++j) {
    const uint64_t counter = first + static_cast<uint64_t>(j);
    c[0][j] = static_cast<uint32_t>(counter);
    c[1][j] = static_cast<uint32_t>(counter >> 32);
    c[2][j] = c[3][j] = 0;
  }
  uint32_t key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int64_t j = 0; j < kCounters; ++j) {
      const uint64_t a = uint64_t{0xD2511F53u} * c[0][j], b = uint64_t{0xCD9E8D57u} * c[2][j];
      const uint32_t x1 = c[1][j], x3 = c[3][j];
      c[0][j] = static_cast<uint32_t>(b >> 32) ^ x1 ^ key0;
      c[1][j] = static_cast<uint32_t>(b);
      c[2][j] = static_cast<uint32_t>(a >> 32) ^ x3 ^ key1;
      c[3][j] = static_cast<uint32_t>(a);
    }
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  for (int64_t j = 0; j < kCounters; ++j) {
    for (int64_t k = 0; k < kWords; ++k) words[kWords * j + k] = c[k][j];
  }
}

template <class T>
void dropout(const DropoutSpec& s, const T* x, const uint64_t* seed, T* y, const Context& context) {
  const auto threshold = static_cast<uint64_t>(s.rate * 4294967296.0);  // 2^32 at rate 1: nothing is kept
  const T scale = static_cast<T>(1 / (1 - s.rate));
  parallel_blocks(context.threads, s.n, kChunk * 256, [&](int64_t begin, int64_t end) {
    uint32_t words[kChunk];
    for (int64_t at = begin; at < end; at += kChunk) {
      philox(*seed, static_cast<uint64_t>(at / kWords), words);
      const int64_t count = end - at < kChunk ? end - at : kChunk;
      for (int64_t i = 0; i < count; ++i) y[at + i] = words[i] >= threshold ? x[at + i] * scale : T(0);
    }
  });
}

}  // namespace

void add_dropout(KernelTable& table) {
  FC_ADD(table, dropout);
}

}  // namespace fc::cpu::FC_ISA
