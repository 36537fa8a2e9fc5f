// cpu_info.cpp — asks the processor and the scheduler.
#include "cpu/cpu_info.h"

#include <algorithm>
#include <cmath>
#include <thread>

#include "cpu/cgroup.h"

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__linux__) && defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
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

#if defined(__linux__) && defined(__x86_64__)
// Tile registers are 8 KiB per thread, so Linux saves them only for processes that asked (5.16 and newer;
// Documentation/arch/x86/xstate.rst). The grant holds for all threads and is inherited by fork().
bool tiles_granted() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

bool has_amx() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  const bool amx_bf16 = d & (1u << 22), amx_tile = d & (1u << 24);
  if (!amx_bf16 || !amx_tile || !__get_cpuid_count(7, 1, &a, &b, &c, &d)) return false;
  const bool avx512_bf16 = a & (1u << 5);
  return avx512_bf16 && tiles_granted();
}
#endif

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
#if defined(__linux__)
  if (isa == "amx") {
    static const bool usable = supports("avx512") && has_amx();
    return usable;
  }
#endif
#endif
  return false;
}

int usable_cpus() {
  const double quota = std::ceil(cgroup_cpus());
  return quota < affinity_cpus() ? static_cast<int>(quota) : affinity_cpus();
}

}  // namespace fc::cpu
