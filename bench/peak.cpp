// peak.cpp — fused multiply-adds per second of this machine: prints GFLOP/s, all threads together.
//
// Each thread keeps enough independent chains in registers to hide the latency of an FMA and touches no
// memory, so what it reaches is the ceiling for every kernel. Built with -march=native, for benches only.
//
// Usage: peak THREADS
#include <omp.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
constexpr int kChains = 10;  // latency 4 or 5 x 2 units, and registers enough on every ISA
constexpr long kSteps = 100'000;
constexpr int kRounds = 1000;  // short and many: on a busy machine some still have every core to themselves

using Vector [[gnu::vector_size(kLanes * sizeof(float))]] = float;

float run_chains(float seed) {
  Vector sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = Vector{} + (seed + i);
  const Vector factor = Vector{} + 0.999f, term = Vector{} + seed;
  for (long step = 0; step < kSteps; ++step) {
#pragma GCC unroll 16
    for (auto& s : sum) s = s * factor + term;
  }
  float total = 0;
  for (const auto& s : sum) total += s[0];
  return total;
}

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  double best = 0, checksum = 0;
  for (int round = 0; round < kRounds; ++round) {
    const double start = omp_get_wtime();
#pragma omp parallel num_threads(threads) reduction(+ : checksum)
    checksum += run_chains(1.0f + static_cast<float>(round));
    const double flops = 2.0 * kLanes * kChains * kSteps * threads;
    best = std::max(best, flops / (omp_get_wtime() - start) / 1e9);
  }
  std::printf("%.1f\n", best);
  return checksum == 0;  // the compiler must believe that the sums are wanted
}
