// peak.cpp — what this machine can do at most, all threads together: fused multiply-adds, or copied bytes.
//
// Multiply-adds: each thread keeps enough independent chains in registers to hide the latency of an FMA and
// touches no memory. Copies: each thread copies its own part of an array, by ordinary stores or by ones that
// pass the caches by; bytes read and bytes written both count. What is reached is the ceiling for every kernel.
// Built for the instruction set that fastconv runs, for benches only: machine.py calls and times it.
#include <omp.h>

#if defined(__SSE__)
#include <immintrin.h>
#endif

namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
constexpr int kChains = 10;  // latency 4 or 5 x 2 units, and registers enough on every ISA
constexpr long kSteps = 100'000;

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

// The vectors that are this thread's.
struct Part {
  long first, last;

  Part(int threads, long bytes) {
    const long vectors = bytes / static_cast<long>(sizeof(Vector)), own = omp_get_thread_num();
    first = vectors * own / threads, last = vectors * (own + 1) / threads;
  }
};

// A fence ends the copy past the caches: its stores count only once they have left the core.
void copy(const Vector* from, Vector* to, Part part, bool past_caches) {
#if defined(__SSE__)
  if (past_caches) {
    for (long i = part.first; i < part.last; ++i) stream_store(to + i, from[i]);
    _mm_sfence();
    return;
  }
#endif
  for (long i = part.first; i < part.last; ++i) to[i] = from[i];
  asm volatile("" ::"r"(to) : "memory");
}

}  // namespace

extern "C" {

// FLOP that were done.
double multiply_add(int threads) {
  static volatile float wanted = 1;  // or the compiler would leave the sums out
  const float seed = wanted;
  float checksum = 0;
#pragma omp parallel num_threads(threads) reduction(+ : checksum)
  checksum += run_chains(seed);
  wanted = checksum > 1 ? 1.0f : 0.5f;
  return 2.0 * kLanes * kChains * kSteps * threads;
}

// Sets both arrays: each thread its own part, which then lies near its core.
void prepare_copies(int threads, void* from, void* to, long bytes) {
#pragma omp parallel num_threads(threads)
  {
    const Part part(threads, bytes);
    for (long i = part.first; i < part.last; ++i) {
      static_cast<Vector*>(to)[i] = static_cast<Vector*>(from)[i] = Vector{} + 1.0f;
    }
  }
}

// Copies so many times; bytes that were read and written. The arrays consist of whole lines of 64 bytes.
double copy_bytes(int threads, const void* from, void* to, long bytes, int times, bool past_caches) {
#pragma omp parallel num_threads(threads)
  {
    const Part part(threads, bytes);
    for (int i = 0; i < times; ++i)
      copy(static_cast<const Vector*>(from), static_cast<Vector*>(to), part, past_caches);
  }
  return 2.0 * static_cast<double>(bytes) * times;
}

}  // extern "C"
