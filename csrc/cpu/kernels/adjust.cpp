// adjust.cpp — contrast and brightness of images, drawn for each.
//
// Math       y = clip((x - mean) f + mean + d); f and d from the words 0 and 1 of counter n
// Shapes     x, y (N,H,W,C)  mean (N,C) or null: 0  seed u64 (1) or null: the first of each range
// Threads    over blocks of an image's pixels
// Numerics   draws of 24 bits; each product and sum is rounded by itself: the bits of csrc/cuda in float32
// Edges      NaN stays NaN
// Source     Keras 3, RandomContrast and RandomBrightness; the generator: philox.h
#include "core/warp_spec.h"
#include "cpu/kernels/philox.h"
#include "cpu/kernels/table.h"
#include "cpu/kernels/work.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {
namespace {

constexpr double kNs = 0.5;  // per element

template <class T>
T between(const std::array<double, 2>& range, uint32_t word) {
  const T low = static_cast<T>(range.data()[0]), span = static_cast<T>(range.data()[1] - range.data()[0]);
  return low + span * (static_cast<T>(word >> 8) / (1 << 24));
}

template <class T>
void adjust(const AdjustSpec& s, const T* x, const T* mean, const uint64_t* seed, T* y,
            const Context& context) {
  const Crew threads = threads_for(s.N * s.H * s.W * s.C, context.threads, kNs);
  const int64_t pixels = s.H * s.W, block = rows_per_block(s.C), blocks = ceil_div(pixels, block);
  const T low = static_cast<T>(s.limits.data()[0]), high = static_cast<T>(s.limits.data()[1]);
  parallel_for(threads, s.N * blocks, [&](int64_t i) {
    const int64_t n = i / blocks, first = i % blocks * block, last = min_of(pixels, first + block);
    uint32_t words[Philox::kChunk] = {};
    if (seed != nullptr) Philox(*seed).words(static_cast<uint64_t>(n), words);
    const T f = between<T>(s.factor, words[0]), d = between<T>(s.shift, words[1]);
    for (int64_t at = n * pixels + first; at < n * pixels + last; ++at) {
      for (int64_t c = 0; c < s.C; ++c) {
        const T m = mean == nullptr ? T(0) : mean[n * s.C + c];
        const T v = (x[at * s.C + c] - m) * f + m + d;
        y[at * s.C + c] = v < low ? low : v > high ? high : v;
      }
    }
  });
}

}  // namespace

void add_adjust(KernelTable& table) {
  FC_ADD(table, adjust);
}

}  // namespace fc::cpu::FC_ISA
