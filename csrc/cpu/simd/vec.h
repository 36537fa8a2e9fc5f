// vec.h — one vector type for every ISA, on the compiler's vector extensions (GCC, Clang).
//
// Vec<T> is a register of kLanes<T> elements. +, -, *, /, comparisons and `mask ? a : b` are the compiler's
// own; this file adds what they lack: loads and stores of any alignment and length, broadcast, fused
// multiply-add and sums. FC_VECTOR_BYTES (16, 32 or 64) is set per ISA by the build. Contraction is off: only
// fma() fuses.
#pragma once

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace fc::cpu::FC_ISA {

#define FC_INLINE inline __attribute__((always_inline))

// FC_F64(code): what float64 needs of a file, but for AMX, whose tiles multiply float32 alone: there, AVX-512's kernels
// of float64 stay in the table.
#if defined(FC_AMX)
#define FC_F64(...)
#else
#define FC_F64(...) __VA_ARGS__
#endif

template <class T>
struct VecOf {
  typedef T type __attribute__((vector_size(FC_VECTOR_BYTES)));
};
template <class T>
using Vec = typename VecOf<T>::type;

// Lane-sized integers: what comparisons yield and exponent arithmetic needs.
template <class T>
using IntLane = typename std::conditional<sizeof(T) == 4, int32_t, int64_t>::type;
template <class T>
using IntVec = Vec<IntLane<T>>;

template <class T>
inline constexpr int64_t kLanes = FC_VECTOR_BYTES / static_cast<int64_t>(sizeof(T));

template <class T>
FC_INLINE Vec<T> load(const T* p) {
  Vec<T> v;
  std::memcpy(&v, p, sizeof(v));  // one unaligned load
  return v;
}

template <class T>
FC_INLINE void store(T* p, Vec<T> v) {
  std::memcpy(p, &v, sizeof(v));
}

template <class T>
FC_INLINE Vec<T> broadcast(T value) {
  return value - Vec<T>{};  // the scalar is widened; x - 0 is x for every x, NaN and -0 included
}

template <class T>
FC_INLINE Vec<T> zero() {
  return Vec<T>{};
}

// a * b + c, rounded once where the ISA has it (AVX2 and up), twice in the baseline.
template <class T>
FC_INLINE Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {
#if FC_VECTOR_BYTES == 64 && defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    return (Vec<T>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
  } else {
    return (Vec<T>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
  }
#elif FC_VECTOR_BYTES == 32 && defined(__FMA__)
  if constexpr (sizeof(T) == 4) {
    return (Vec<T>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
  } else {
    return (Vec<T>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
  }
#else
  return a * b + c;
#endif
}

#if FC_VECTOR_BYTES == 32 && defined(__AVX2__)
// All bits set in the first n lanes.
template <class T>
FC_INLINE __m256i first_lanes(int64_t n) {
  if constexpr (sizeof(T) == 4) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  } else {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
  }
}
#endif

// The first n (0 < n < kLanes) elements, the rest zero; nothing beyond p[n-1] is touched.
template <class T>
FC_INLINE Vec<T> load_partial(const T* p, int64_t n) {
#if FC_VECTOR_BYTES == 64 && defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    return (Vec<T>)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
  } else {
    return (Vec<T>)_mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << n) - 1), p);
  }
#elif FC_VECTOR_BYTES == 32 && defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    return (Vec<T>)_mm256_maskload_ps(p, first_lanes<T>(n));
  } else {
    return (Vec<T>)_mm256_maskload_pd(p, first_lanes<T>(n));
  }
#else
  Vec<T> v{};
  std::memcpy(&v, p, static_cast<size_t>(n) * sizeof(T));
  return v;
#endif
}

template <class T>
FC_INLINE void store_partial(T* p, Vec<T> v, int64_t n) {
#if FC_VECTOR_BYTES == 64 && defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), (__m512)v);
  } else {
    _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << n) - 1), (__m512d)v);
  }
#elif FC_VECTOR_BYTES == 32 && defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    _mm256_maskstore_ps(p, first_lanes<T>(n), (__m256)v);
  } else {
    _mm256_maskstore_pd(p, first_lanes<T>(n), (__m256d)v);
  }
#else
  std::memcpy(p, &v, static_cast<size_t>(n) * sizeof(T));
#endif
}

// The products of the lower 32 bits of each pair of lanes, all 64 bits of them.
FC_INLINE Vec<uint64_t> multiply_lower_halves(Vec<uint64_t> a, Vec<uint64_t> b) {
#if FC_VECTOR_BYTES == 64 && defined(__AVX512F__)
  return (Vec<uint64_t>)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif FC_VECTOR_BYTES == 32 && defined(__AVX2__)
  return (Vec<uint64_t>)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif FC_VECTOR_BYTES == 16 && defined(__SSE2__)
  return (Vec<uint64_t>)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
  return (a & uint64_t{0xFFFFFFFFu}) * (b & uint64_t{0xFFFFFFFFu});
#endif
}

// The larger (smaller) of each pair; where either is NaN, or both are equal, b. x86 has just that in one
// instruction, which GCC does not see in the comparison; maskz, because GCC 12 warns of the others' insides.
template <class T>
FC_INLINE Vec<T> max_or_second(Vec<T> a, Vec<T> b) {
#if FC_VECTOR_BYTES == 64 && defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) return (Vec<T>)_mm512_maskz_max_ps(0xFFFF, (__m512)a, (__m512)b);
  if constexpr (std::is_same_v<T, double>) return (Vec<T>)_mm512_maskz_max_pd(0xFF, (__m512d)a, (__m512d)b);
#elif FC_VECTOR_BYTES == 32 && defined(__AVX2__)
  if constexpr (std::is_same_v<T, float>) return (Vec<T>)_mm256_max_ps((__m256)a, (__m256)b);
  if constexpr (std::is_same_v<T, double>) return (Vec<T>)_mm256_max_pd((__m256d)a, (__m256d)b);
#endif
  return a > b ? a : b;
}
template <class T>
FC_INLINE Vec<T> min_or_second(Vec<T> a, Vec<T> b) {
#if FC_VECTOR_BYTES == 64 && defined(__AVX512F__)
  if constexpr (std::is_same_v<T, float>) return (Vec<T>)_mm512_maskz_min_ps(0xFFFF, (__m512)a, (__m512)b);
  if constexpr (std::is_same_v<T, double>) return (Vec<T>)_mm512_maskz_min_pd(0xFF, (__m512d)a, (__m512d)b);
#elif FC_VECTOR_BYTES == 32 && defined(__AVX2__)
  if constexpr (std::is_same_v<T, float>) return (Vec<T>)_mm256_min_ps((__m256)a, (__m256)b);
  if constexpr (std::is_same_v<T, double>) return (Vec<T>)_mm256_min_pd((__m256d)a, (__m256d)b);
#endif
  return a < b ? a : b;
}

// Sum of the lanes, always in the same tree: halves are added until one is left.
template <class T>
FC_INLINE T sum(Vec<T> v) {
  T lanes[kLanes<T>];
  store(lanes, v);
  for (int64_t half = kLanes<T> / 2; half > 0; half /= 2) {
    for (int64_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

// Calls f(offset, count) over [0, n) a register at a time; count is a compile-time constant but for the last,
// shorter call. Head, body and tail run the same vector arithmetic, so an element's result does not depend on
// its place.
template <class T, class F>
FC_INLINE void for_each_vector(int64_t n, const F& f) {
  int64_t i = 0;
  for (; i + kLanes<T> <= n; i += kLanes<T>) f(i, kLanes<T>);
  if (i < n) f(i, n - i);
}

template <class T>
FC_INLINE Vec<T> load_up_to(const T* p, int64_t count) {
  return count == kLanes<T> ? load(p) : load_partial(p, count);
}
template <class T>
FC_INLINE void store_up_to(T* p, Vec<T> v, int64_t count) {
  if (count == kLanes<T>) {
    store(p, v);
  } else {
    store_partial(p, v, count);
  }
}

}  // namespace fc::cpu::FC_ISA
