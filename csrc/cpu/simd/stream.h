// stream.h — stores that pass the caches by, for results that are too large to be found there again.
//
// An ordinary store first reads the line that it changes: a third of the traffic of a copy, for nothing. A
// streaming store writes whole lines without reading them; the next reader finds them in memory alone. Other
// threads may read them after the parallel loop, which fences them once per thread: see team.cpp.
#pragma once

#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {

// Results of this size leave the caches before anybody reads them: the last level of common processors holds
// less.
inline constexpr int64_t kStreamBytes = int64_t{32} << 20;

template <class T>
constexpr bool outgrows_caches(int64_t elements) {
  return elements * static_cast<int64_t>(sizeof(T)) >= kStreamBytes;
}

// Arrays of this size are not in L2 when they are read again.
template <class T>
constexpr bool outgrows_l2(int64_t elements) {
  return elements * static_cast<int64_t>(sizeof(T)) >= int64_t{2} << 20;
}

template <class T>
FC_INLINE bool is_aligned(const T* p) {
  return reinterpret_cast<uintptr_t>(p) % FC_VECTOR_BYTES == 0;
}

// p is aligned like a vector.
template <class T>
FC_INLINE void stream(T* p, Vec<T> v) {
#if FC_VECTOR_BYTES == 64 && defined(__AVX512F__)
  _mm512_stream_ps(reinterpret_cast<float*>(p), (__m512)v);
#elif FC_VECTOR_BYTES == 32 && defined(__AVX2__)
  _mm256_stream_ps(reinterpret_cast<float*>(p), (__m256)v);
#elif FC_VECTOR_BYTES == 16 && defined(__SSE2__)
  _mm_stream_ps(reinterpret_cast<float*>(p), (__m128)v);
#else
  store(p, v);
#endif
}

// Asks for the line that is so much further on than p; beyond the array's end it asks for nothing. What does nothing
// but fetch has to be FC_INLINE: GCC takes another function like that for one without effect, and leaves out calls.
// Long computations on every register hide loads that are this early, and none that are later: gelu and tanh
// of large arrays took three and two times as long with the processor's own prefetching alone, Adam's update
// 1.4 times. Arrays that are in L2 anyway are better left alone: there a small one took 1.2 times as long.
inline constexpr uintptr_t kPrefetchBytes = 4096;
FC_INLINE void prefetch(const void* p, uintptr_t bytes = kPrefetchBytes) {
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(p) + bytes));
}

// Asks for n neighbours: for L1, or in `locality` 2 for L2; to read, or to write them.
template <int write = 0, int locality = 3, class T>
FC_INLINE void prefetch_run(const T* p, int64_t n) {
  constexpr int64_t kLine = 64 / sizeof(T);
  for (int64_t i = 0; i < n; i += kLine) __builtin_prefetch(p + i, write, locality);
}

// y[i] = f(i, count) for the registers of [0, n), as for_each_vector calls it. With `past_caches` the first,
// shorter register ends where y is aligned, and what f reads of `inputs`, arrays like y, is fetched `ahead` bytes
// early.
template <class T, class F, class... Inputs>
FC_INLINE void write_vectors_ahead(T* y, int64_t n, bool past_caches, [[maybe_unused]] uintptr_t ahead,
                                   const F& f, const Inputs*... inputs) {
  if (!past_caches) {
    return for_each_vector<T>(n, [&](int64_t i, int64_t count) { store_up_to(y + i, f(i, count), count); });
  }
  const uintptr_t beyond = reinterpret_cast<uintptr_t>(y) % FC_VECTOR_BYTES;
  int64_t i = static_cast<int64_t>((FC_VECTOR_BYTES - beyond) % FC_VECTOR_BYTES / sizeof(T));
  if (i > n) i = n;
  if (i > 0) store_partial(y, f(0, i), i);
  for (; i + kLanes<T> <= n; i += kLanes<T>) {
    (prefetch(inputs + i, ahead), ...);
    stream(y + i, f(i, kLanes<T>));
  }
  if (i < n) store_partial(y + i, f(i, n - i), n - i);
}

// For arrays that are read once.
template <class T, class F, class... Inputs>
FC_INLINE void write_vectors(T* y, int64_t n, bool past_caches, const F& f, const Inputs*... inputs) {
  write_vectors_ahead(y, n, past_caches, kPrefetchBytes, f, inputs...);
}

}  // namespace fc::cpu::FC_ISA
