// cpu_info.cpp — asks the processor, the scheduler and the cgroup.
#include "cpu/cpu_info.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

namespace fc::cpu {
namespace {

int affinity_cpus() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

// CPUs that the cgroup's quota amounts to, rounded up; a large number where there is no quota.
int cgroup_cpus() {
  double quota = -1, period = 0;
  if (std::ifstream v2("/sys/fs/cgroup/cpu.max"); v2) {
    std::string first;
    if (v2 >> first >> period && first != "max") quota = std::atof(first.c_str());
  } else {
    std::ifstream q("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), p("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
    if (q && p) q >> quota, p >> period;
  }
  if (quota <= 0 || period <= 0) return 1 << 20;
  return std::max(1, static_cast<int>(std::ceil(quota / period)));
}

}  // namespace

bool supports(const std::string& isa) {
  if (isa == "baseline") return true;
#if defined(__x86_64__)
  __builtin_cpu_init();  // the builtins also ask the OS whether it saves the wider registers
  if (isa == "avx2") return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (isa == "avx512") {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("fma");
  }
#endif
  return false;
}

int usable_cpus() {
  return std::min(affinity_cpus(), cgroup_cpus());
}

}  // namespace fc::cpu
