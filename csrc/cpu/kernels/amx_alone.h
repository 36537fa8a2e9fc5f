// amx_alone.h — small products on AMX tiles that one thread has done before others would help.
//
// What other cores have read or written comes to a core through the third-level cache, at a tenth of the
// speed of its own, a sleeping thread comes late, and a small network's tensors would go back and forth with
// every layer. Measured on two cores: a 3x3 convolution of 13x13x32 to 64 channels takes 12 us alone and 14
// us together, its weight gradient 18 and 23, and the layers before and behind them 1 to 5 us less; those of
// 16x16x32 channels take the same; one that takes 25 us alone takes 20 together.
#pragma once

#include <cstdint>

namespace fc::cpu::FC_ISA {

// What takes one thread so long is shared: a convolution, and a weight gradient.
inline constexpr double kConvAloneNs = 15000, kWeightAloneNs = 24000;

// Of one thread: `tiles` products of two tiles, times those of their parts, and so many numbers that are
// split or stored.
inline double serial_amx_ns(double tiles, double numbers, int64_t parts) {
  constexpr double kProductNs = 7, kNumberNs = 0.25;
  return tiles * (parts == 2 ? 3 : 6) * kProductNs + numbers * kNumberNs;
}

}  // namespace fc::cpu::FC_ISA
