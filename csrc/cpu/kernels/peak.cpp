// peak.cpp — how many operations a second this instruction set can do: multiply-adds that never wait.
//
// Math       sum[j] = sum[j] · a + b, kChains of them side by side in registers
// Threads    every thread runs the same chains
// Numerics   a < 1 and b > 0: the sums stay normal numbers
#include "cpu/kernels/peak.h"

#include "cpu/kernels/peak_rate.h"
#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {
namespace {

constexpr int kChains = 12;  // two units, four to five cycles each; AVX2 has registers for 12 and two factors
constexpr int kRounds = 4096;

template <class T>
T run_chains(int64_t start) {
  Vec<T> sums[kChains];
  for (int j = 0; j < kChains; ++j) sums[j] = broadcast(static_cast<T>(start + j));
  Vec<T> a = broadcast(T(0.5)), b = broadcast(T(1));
  for (int i = 0; i < kRounds; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < kChains; ++j) sums[j] = fma<T>(sums[j], a, b);
  }
  Vec<T> total = sums[0];
  for (int j = 1; j < kChains; ++j) total += sums[j];
  return total[0];
}

}  // namespace

template <class T>
double peak_flops(int threads, double seconds) {
  volatile T sink = 0;
  constexpr double kFlops = 2.0 * kChains * kRounds * static_cast<double>(kLanes<T>);
  return best_rate(threads, seconds, kFlops, [&](int64_t i) {  // each i its own sums: one cannot serve two
    const T total = run_chains<T>(i);
    if (total < 0) sink = total;  // never: it keeps the loop
  });
}

double peak_flops(DType dtype, int threads, double seconds) {
  return dtype == DType::f64 ? peak_flops<double>(threads, seconds) : peak_flops<float>(threads, seconds);
}

}  // namespace fc::cpu::FC_ISA
