// half.h — CUDA's 16-bit floating-point types on the host: storage, and conversions that round to nearest
// even.
#pragma once

#include <bit>
#include <cstdint>

struct __half {
  uint16_t bits;
};
struct __nv_bfloat16 {
  uint16_t bits;
};

inline float __half2float(__half h) {
  const uint32_t sign = uint32_t{h.bits} >> 15 << 31, exponent = h.bits >> 10 & 31u,
                 fraction = h.bits & 1023u;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | fraction << 13);
  if (exponent == 0) {  // zero and subnormal numbers: fraction * 2^-24
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

inline __half __float2half_rn(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x), magnitude = bits & 0x7fffffffu;
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000u);
  const auto with_sign = [sign](uint32_t h) { return __half{static_cast<uint16_t>(sign | h)}; };
  if (magnitude > 0x7f800000u) return with_sign(0x7fff);   // NaN, as the device writes it
  if (magnitude >= 0x47800000u) return with_sign(0x7c00);  // 2^16 and beyond
  if (magnitude < 0x38800000u) {  // below 2^-14: adding 0.5 leaves x rounded to a multiple of 2^-24
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return with_sign(std::bit_cast<uint32_t>(shifted) - 0x3f000000u);
  }
  const uint32_t odd = magnitude >> 13 & 1u;
  return with_sign((magnitude + 0xfffu + odd - 0x38000000u) >> 13);  // may round up to infinity
}

inline float __bfloat162float(__nv_bfloat16 b) {
  return std::bit_cast<float>(uint32_t{b.bits} << 16);
}

inline __nv_bfloat16 __float2bfloat16_rn(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {0x7fff};
  return {static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
}
