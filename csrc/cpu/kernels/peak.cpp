// peak.cpp — how many operations a second this instruction set can do: multiply-adds that never wait.
//
// Math       sum[j] = sum[j] · a + b, kChains of them side by side in registers
// Threads    every thread runs the same chains
// Numerics   a < 1 and b > 0: the sums stay normal numbers
#include "cpu/kernels/peak.h"

#include <chrono>

#include "cpu/parallel.h"
#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {
namespace {

constexpr int kChains = 12;  // two units, four to five cycles each; AVX2 has registers for 12 and two factors
constexpr int kRounds = 4096;

template <class T>
T run_chains() {
  Vec<T> sums[kChains];
  for (int j = 0; j < kChains; ++j) sums[j] = broadcast(T(1 + j));
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
  using Clock = std::chrono::steady_clock;
  const int64_t tasks = 8 * threads;
  volatile T sink = 0;
  double best = 0;
  const Clock::time_point end =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  do {
    const Clock::time_point start = Clock::now();
    parallel_for(threads, tasks, [&](int64_t) {
      const T total = run_chains<T>();
      if (total < 0) sink = total;  // never: it keeps the loop
    });
    const double flops = 2.0 * kChains * kRounds * static_cast<double>(kLanes<T> * tasks);
    const double rate = flops / std::chrono::duration<double>(Clock::now() - start).count();
    if (rate > best) best = rate;
  } while (Clock::now() < end);
  return best;
}

double peak_flops(DType dtype, int threads, double seconds) {
  return dtype == DType::f64 ? peak_flops<double>(threads, seconds) : peak_flops<float>(threads, seconds);
}

}  // namespace fc::cpu::FC_ISA
