// dropout.cpp — inverted dropout with a counter-based generator.
//
// Math       y[i] = kept(seed, i) ? x[i] / (1 - rate) : 0; its gradient is the same map on dy
// Shapes     any; seed u64 (1)
// Blocking   the draws of some elements at a time, kept in L1 until they are compared; stream.h for what
//            outgrows the caches
// Threads    over blocks; the mask depends on (seed, i) alone, so neither thread count nor vector width shows
// Numerics   kept iff half a random word, 16 bits, >= rate * 2^16, rounded to the nearest
// Edges      a dropped NaN is 0
// Tried      a whole word an element: drawing, not memory, then sets the pace
// Source     Srivastava et al. 2014, "Dropout"; the generator: philox.h
#include <bit>

#include "core/elementwise_spec.h"
#include "cpu/kernels/philox.h"
#include "cpu/kernels/table.h"
#include "cpu/kernels/work.h"
#include "cpu/parallel.h"
#include "cpu/simd/stream.h"

namespace fc::cpu::FC_ISA {
namespace {

constexpr double kNs = 0.25;  // per element

// Of each word the lower half is drawn first: so they lie in memory.
using Draw = uint16_t;
static_assert(std::endian::native == std::endian::little);
constexpr int64_t kPerWord = 2;
constexpr int64_t kDrawn = 256;  // elements at a time
static_assert(kDrawn % (kPerWord * Philox::kChunk) == 0 && kBlockElements % kDrawn == 0);

// The draws of kDrawn elements, from element `first` on.
FC_INLINE void draw(const Philox& philox, int64_t first, uint32_t* words) {
  const auto counter = static_cast<uint64_t>(first / (kPerWord * Philox::kWords));
  constexpr int64_t kCounters = Philox::kChunk / Philox::kWords;
  for (int64_t i = 0; i * kPerWord * Philox::kChunk < kDrawn; ++i) {
    philox.words(counter + static_cast<uint64_t>(i * kCounters), words + i * Philox::kChunk);
  }
}

// Draws for a register of elements, as wide as these.
template <class T>
FC_INLINE IntVec<T> load_draws(const uint32_t* words, int64_t i) {
  typedef Draw Narrow __attribute__((vector_size(kLanes<T> * sizeof(Draw))));
  Narrow draws;
  std::memcpy(&draws, reinterpret_cast<const unsigned char*>(words) + i * sizeof(Draw), sizeof(draws));
  return __builtin_convertvector(draws, IntVec<T>);
}

// Elements [begin, end), begin a multiple of kDrawn. Everything by value: through a reference the compiler
// has to fear that y holds the generator's keys.
template <class T>
void drop(Philox philox, IntLane<T> threshold, T scale, const T* x, T* y, int64_t begin, int64_t end,
          bool past_caches) {
  uint32_t words[(kDrawn + kLanes<T>) / kPerWord] = {};  // the last register may begin anywhere
  for (int64_t at = begin; at < end; at += kDrawn) {
    draw(philox, at, words);
    write_vectors(
        y + at, min_of(end - at, kDrawn), past_caches,
        [&](int64_t i, int64_t count) {
          const Vec<T> kept = load_up_to(x + at + i, count) * scale;
          return load_draws<T>(words, i) >= threshold ? kept : zero<T>();
        },
        x + at);
  }
}

template <class T>
void dropout(const DropoutSpec& s, const T* x, const uint64_t* seed, T* y, const Context& context) {
  const Crew threads = threads_for(s.n, context.threads, kNs);
  const Philox philox(*seed);
  const auto threshold = static_cast<IntLane<T>>(s.rate * 65536 + 0.5);  // 65536: above every draw
  const T scale = s.rate < 1 ? static_cast<T>(1 / (1 - s.rate)) : T(0);
  const bool past_caches = outgrows_caches<T>(s.n) && y != x;
  parallel_blocks(threads, s.n, kBlockElements, [&](int64_t begin, int64_t end) {
    drop(philox, threshold, scale, x, y, begin, end, past_caches);
  });
}

}  // namespace

void add_dropout(KernelTable& table) {
  FC_ADD(table, dropout);
}

}  // namespace fc::cpu::FC_ISA
