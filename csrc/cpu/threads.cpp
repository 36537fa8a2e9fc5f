// threads.cpp — the thread budget: asked for, or found.
#include "cpu/threads.h"

#include <atomic>
#include <cstdlib>

#include "core/check.h"
#include "cpu/cpu_info.h"

namespace fc::cpu {
namespace {

constexpr int kMaxThreads = 1024;

// A positive whole number from the environment, or 0; "4,2" (OpenMP's nesting list) counts as 4.
int from_environment(const char* name) {
  const char* text = std::getenv(name);
  if (!text) return 0;
  char* end = nullptr;
  const long n = std::strtol(text, &end, 10);
  const bool whole = end != text && (*end == '\0' || *end == ',');
  return whole && n >= 1 && n <= kMaxThreads ? static_cast<int>(n) : 0;
}

std::atomic<int>& budget() {
  static std::atomic<int> n = [] {
    for (const char* name : {"FASTCONV_NUM_THREADS", "OMP_NUM_THREADS"}) {
      if (const int value = from_environment(name)) return value;
    }
    return usable_cpus();
  }();
  return n;
}

}  // namespace

int threads() {
  return budget().load();
}

void set_threads(int64_t n) {
  FC_CHECK(n >= 1 && n <= kMaxThreads, "[set_num_threads] n must be between 1 and ", kMaxThreads,
           ": expected n >= 1, got n=", n, ". Pass the number of threads kernels may use.");
  budget().store(static_cast<int>(n));
}

}  // namespace fc::cpu
