// peak.cpp — what this machine can do at most, all threads together: fused multiply-adds, or copied bytes.
//
// Multiply-adds: each thread keeps enough independent chains in registers to hide the latency of an FMA and
// touches no memory. Copies: each thread copies its own part of an array, by ordinary stores or by ones that
// pass the caches by, whichever is faster; bytes read and bytes written both count. What is reached is the
// ceiling for every kernel. Built for the instruction set that fastconv runs, for benches only.
//
// Usage: peak THREADS          prints GFLOP/s
//        peak THREADS BYTES    prints GB/s of copies of an array of so many bytes
#include <omp.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

#if defined(__SSE__)
#include <immintrin.h>
#endif

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
constexpr double kCopySeconds = 0.5;

using Vector [[gnu::vector_size(kLanes * sizeof(float))]] = float;

#if defined(__AVX512F__)
void stream_store(Vector* to, Vector v) {
  _mm512_stream_ps(reinterpret_cast<float*>(to), v);
}
#elif defined(__AVX__)
void stream_store(Vector* to, Vector v) {
  _mm256_stream_ps(reinterpret_cast<float*>(to), v);
}
#elif defined(__SSE__)
void stream_store(Vector* to, Vector v) {
  _mm_stream_ps(reinterpret_cast<float*>(to), v);
}
#endif

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

double measure_flops(int threads) {
  double best = 0, checksum = 0;
  for (int round = 0; round < kRounds; ++round) {
    const double start = omp_get_wtime();
#pragma omp parallel num_threads(threads) reduction(+ : checksum)
    checksum += run_chains(1.0f + static_cast<float>(round));
    const double flops = 2.0 * kLanes * kChains * kSteps * threads;
    best = std::max(best, flops / (omp_get_wtime() - start) / 1e9);
  }
  return checksum == 0 ? 0 : best;  // the compiler must believe that the sums are wanted
}

// A fence ends the streaming copy: its stores count only once they have left the core.
void copy(const Vector* from, Vector* to, long n, bool stream) {
#if defined(__SSE__)
  if (stream) {
    for (long i = 0; i < n; ++i) stream_store(to + i, from[i]);
    _mm_sfence();
    return;
  }
#endif
  for (long i = 0; i < n; ++i) to[i] = from[i];
  asm volatile("" ::"r"(to) : "memory");
}

double measure_copies(int threads, long bytes) {
  const long n = bytes / static_cast<long>(sizeof(Vector)) / threads;  // vectors per thread
  const auto from = std::make_unique<Vector[]>(n * threads), to = std::make_unique<Vector[]>(n * threads);
  double best = 0;
  const int repeats = static_cast<int>(std::max(1L, (1L << 24) / bytes));  // one round copies 16 MiB or more
  for (const bool stream : {false, true}) {
    for (const double end = omp_get_wtime() + kCopySeconds; omp_get_wtime() < end;) {
      double seconds = 0;
#pragma omp parallel num_threads(threads) reduction(max : seconds)
      {
        const long first = omp_get_thread_num() * n;
        for (long i = 0; i < n; ++i) to[first + i] = from[first + i] = Vector{} + 1.0f;
#pragma omp barrier
        const double start = omp_get_wtime();
        for (int i = 0; i < repeats; ++i) copy(&from[first], &to[first], n, stream);
        seconds = omp_get_wtime() - start;
      }
      best = std::max(best, 2.0 * sizeof(Vector) * n * threads * repeats / seconds / 1e9);
    }
  }
  return best;
}

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  std::printf("%.1f\n", argc > 2 ? measure_copies(threads, std::atol(argv[2])) : measure_flops(threads));
}
