// pool2d.h — what the pooling kernels share; each file adds its own entries.
#pragma once

#include <limits>

#include "core/pool2d_spec.h"
#include "cpu/kernels/table.h"
#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {

void add_pool2d_forward(KernelTable& table);
void add_pool2d_backward(KernelTable& table);
void add_pool2d_rescan(KernelTable& table);

// Which of two values wins a window: NaN first, then the larger (smaller), then the one that came first.
// kWorst is beaten by any other value.
struct Max {
  template <class T>
  static constexpr T kWorst = -std::numeric_limits<T>::infinity();
  template <class T>
  static FC_INLINE IntVec<T> beats(Vec<T> v, Vec<T> best) {
    return ~(v <= best) & (best == best);
  }
};

struct Min {
  template <class T>
  static constexpr T kWorst = std::numeric_limits<T>::infinity();
  template <class T>
  static FC_INLINE IntVec<T> beats(Vec<T> v, Vec<T> best) {
    return ~(v >= best) & (best == best);
  }
};

// Winners are numbered r * S + s, one byte each in memory, one lane each in registers. The compiler's own
// conversion of vectors goes through scalars.
template <class T>
FC_INLINE IntVec<T> load_bytes(const uint8_t* p, int64_t count) {
#if FC_VECTOR_BYTES == 64 && defined(__AVX512BW__) && defined(__AVX512VL__)
  const __m128i bytes = _mm_maskz_loadu_epi8(static_cast<__mmask16>((1u << count) - 1), p);
  if constexpr (sizeof(T) == 4) {
    return (IntVec<T>)_mm512_cvtepu8_epi32(bytes);
  } else {
    return (IntVec<T>)_mm512_cvtepu8_epi64(bytes);
  }
#else
  uint64_t packed = 0;  // at most eight lanes
  std::memcpy(&packed, p, static_cast<size_t>(count));
#if FC_VECTOR_BYTES == 32 && defined(__AVX2__)
  const __m128i bytes = _mm_cvtsi64_si128(static_cast<int64_t>(packed));
  if constexpr (sizeof(T) == 4) {
    return (IntVec<T>)_mm256_cvtepu8_epi32(bytes);
  } else {
    return (IntVec<T>)_mm256_cvtepu8_epi64(bytes);
  }
#else
  uint8_t lanes[sizeof(packed)];
  std::memcpy(lanes, &packed, sizeof(packed));
  IntVec<T> v;
  for (int64_t i = 0; i < kLanes<T>; ++i) v[i] = lanes[i];
  return v;
#endif
#endif
}

template <class T>
FC_INLINE void store_bytes(uint8_t* p, IntVec<T> v, int64_t count) {
#if FC_VECTOR_BYTES == 64 && defined(__AVX512BW__) && defined(__AVX512VL__)
  if constexpr (sizeof(T) == 4) {
    _mm512_mask_cvtepi32_storeu_epi8(p, static_cast<__mmask16>((1u << count) - 1), (__m512i)v);
  } else {
    _mm512_mask_cvtepi64_storeu_epi8(p, static_cast<__mmask8>((1u << count) - 1), (__m512i)v);
  }
#else
  uint8_t lanes[kLanes<T>];
#if FC_VECTOR_BYTES == 32 && defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    const __m128i low = _mm256_castsi256_si128((__m256i)v), high = _mm256_extracti128_si256((__m256i)v, 1);
    const __m128i words = _mm_packus_epi32(low, high);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(lanes), _mm_packus_epi16(words, words));
    std::memcpy(p, lanes, static_cast<size_t>(count));
    return;
  }
#endif
  for (int64_t i = 0; i < kLanes<T>; ++i) lanes[i] = static_cast<uint8_t>(v[i]);
  std::memcpy(p, lanes, static_cast<size_t>(count));
#endif
}

}  // namespace fc::cpu::FC_ISA
