// noise.cpp — normal noise with a counter-based generator.
//
// Math       y[i] = x[i] + stddev z[i], or x[i] (1 + stddev z[i]); its gradient by x is dy, or that map on dy
// Shapes     any; seed u64 (1)
// Blocking   the words of a few counters at a time: words 0, 1 and 2, 3 of a counter make two numbers each
// Threads    over blocks; z depends on (seed, i) alone, so neither thread count nor vector width shows
// Numerics   z in float32 for both types: the bits of csrc/cuda
// Source     core/normal.inc; the generator: philox.h
#include "core/elementwise_spec.h"
#include "cpu/kernels/philox.h"
#include "cpu/kernels/table.h"
#include "cpu/kernels/work.h"
#include "cpu/parallel.h"
#include "cpu/simd/math.h"

namespace fc::cpu::FC_ISA {
namespace {

using Floats = Vec<float>;
using Ints = IntVec<float>;

FC_INLINE Floats product(Floats a, Floats b) {
  return a * b;
}
FC_INLINE Floats sum(Floats a, Floats b) {
  return a + b;
}
FC_INLINE Floats quotient(Floats a, Floats b) {
  return a / b;
}
FC_INLINE Floats root(Floats a) {
  return square_root<float>(a);
}
FC_INLINE Floats floats_of(Ints a) {
  return __builtin_convertvector(a, Floats);
}
FC_INLINE Ints bits_of(Floats a) {
  return (Ints)a;
}
FC_INLINE Floats from_bits(Ints a) {
  return (Floats)a;
}

#define FC_NORMAL_FN FC_INLINE
#include "core/normal.inc"
#undef FC_NORMAL_FN

constexpr double kNs = 1;  // per element

// A chunk's words, as numbers in the order of its elements.
FC_INLINE void to_normals(const uint32_t* words, float* z) {
  constexpr int64_t kPairs = kLanes<float>;
  static_assert(Philox::kChunk % (2 * kPairs) == 0);
  for (int64_t at = 0; at < Philox::kChunk; at += 2 * kPairs) {
    Ints even, odd;
    for (int64_t i = 0; i < kPairs; ++i) {
      even[i] = static_cast<int32_t>(words[at + 2 * i]);
      odd[i] = static_cast<int32_t>(words[at + 2 * i + 1]);
    }
    const Normals<Floats, Ints> pairs(even, odd);
    for (int64_t i = 0; i < kPairs; ++i) {
      z[at + 2 * i] = pairs.first[i];
      z[at + 2 * i + 1] = pairs.second[i];
    }
  }
}

template <class T>
void noise(const NoiseSpec& s, const T* x, const uint64_t* seed, T* y, const Context& context) {
  static_assert(kBlockElements % Philox::kChunk == 0);
  const Philox philox(*seed);
  const T stddev = static_cast<T>(s.stddev);
  const Crew threads = threads_for(s.n, context.threads, kNs);
  parallel_blocks(threads, s.n, kBlockElements, [&](int64_t begin, int64_t end) {
    uint32_t words[Philox::kChunk];
    float z[Philox::kChunk];
    for (int64_t at = begin; at < end; at += Philox::kChunk) {
      philox.words(static_cast<uint64_t>(at / Philox::kWords), words);
      to_normals(words, z);
      const int64_t count = min_of(end - at, Philox::kChunk);
      for (int64_t i = 0; i < count; ++i) {
        const T share = stddev * static_cast<T>(z[i]);
        y[at + i] = s.multiply ? x[at + i] * (T(1) + share) : x[at + i] + share;
      }
    }
  });
}

}  // namespace

void add_noise(KernelTable& table) {
  FC_ADD(table, noise);
}

}  // namespace fc::cpu::FC_ISA
