// dropout.cu — inverted dropout with a counter-based generator.
//
// Math       y[i] = kept(seed, i) ? x[i] / (1 - rate) : 0; its gradient is the same map on dy
// Shapes     any; seed u64 (1), read on the device
// Grid/Block one thread per 16 bytes: one counter gives four words, the mask of eight elements
// Numerics   kept iff half a random word, 16 bits, >= rate * 2^16, rounded to the nearest: the CPU's mask
// Workspace  none
// Edges      a dropped NaN is 0; rate 1 drops all
// Source     Srivastava et al. 2014, "Dropout"; the generator: philox.cuh
#include "core/elementwise_spec.h"
#include "cuda/device/philox.cuh"
#include "cuda/device/storage.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

constexpr int kThreads = 256, kDraws = 8;  // of a counter: halves of its words, the lower ones first

// threshold: of 17 bits, for that of rate 1 is 2^16.
template <class T>
__global__ void __launch_bounds__(kThreads) dropout_kernel(const T* x, const uint64_t* seed, T* y, int64_t n,
                                                           bool packed, uint32_t threshold, float scale) {
  constexpr int kSize = Pack<T>::kSize;
  static_assert(kDraws % kSize == 0);
  const int64_t first = global_thread() * kSize;
  float v[kSize];
  load_present(x, first, n, packed, v);
  uint32_t words[kDraws / 2];
  philox(*seed, static_cast<uint64_t>(first / kDraws), words);
  const bool second = first % kDraws != 0;  // a pack of four takes one or the other half of the words
#pragma unroll
  for (int j = 0; j < kSize; ++j) {
    const uint32_t word = second ? words[(kDraws - kSize + j) / 2] : words[j / 2];
    v[j] = (word >> (16 * (j % 2)) & 0xFFFFu) >= threshold ? v[j] * scale : 0.0f;
  }
  store_present(y, first, n, packed, v);
}

template <class T>
void dropout(const DropoutSpec& s, const T* x, const uint64_t* seed, T* y, const Context& context) {
  if (s.n == 0) return;
  const auto threshold = static_cast<uint32_t>(s.rate * 65536 + 0.5);
  const float scale = s.rate < 1 ? static_cast<float>(1 / (1 - s.rate)) : 0.0f;
  const int64_t packs = ceil_div(s.n, Pack<T>::kSize);
  launch(dropout_kernel<T>, dim3(static_cast<unsigned>(ceil_div(packs, kThreads))), dim3(kThreads), 0,
         context, x, seed, y, s.n, aligned_for_packs(x, y), threshold, scale);
}

}  // namespace

void add_dropout(KernelTable& table) {
  FC_ADD(table, dropout);
}

}  // namespace fc::cuda
