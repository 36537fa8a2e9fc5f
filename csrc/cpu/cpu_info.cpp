// cpu_info.cpp — asks the processor, the scheduler and the cgroup.
#include "cpu/cpu_info.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <thread>

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

// CPUs that the quota of one cgroup's folder amounts to; infinite where there is none.
double quota_of(const std::string& folder) {
  double quota = -1, period = 0;
  if (std::ifstream v2(folder + "/cpu.max"); v2) {
    v2 >> quota >> period;  // "max 100000" leaves both as they are
  } else {
    std::ifstream(folder + "/cpu.cfs_quota_us") >> quota;
    std::ifstream(folder + "/cpu.cfs_period_us") >> period;
  }
  return quota > 0 && period > 0 ? quota / period : std::numeric_limits<double>::infinity();
}

// The least quota of a cgroup and all above it. A container may see its own cgroup as the root.
double least_quota(const std::string& mount, std::string path) {
  double cpus = quota_of(mount);
  for (; path.size() > 1; path.resize(path.rfind('/'))) cpus = std::min(cpus, quota_of(mount + path));
  return cpus;
}

// Lines of /proc/self/cgroup are "0::/path" (version 2) and "4:cpu,cpuacct:/path" (version 1).
double cgroup_cpus() {
  double cpus = least_quota("/sys/fs/cgroup", "");
  std::ifstream lines("/proc/self/cgroup");
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos || line[second + 1] != '/') continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string path = line.substr(second + 1);
    if (controllers == ",,") cpus = std::min(cpus, least_quota("/sys/fs/cgroup", path));
    if (controllers.find(",cpu,") != std::string::npos) {
      cpus = std::min(cpus, least_quota("/sys/fs/cgroup/cpu", path));
    }
  }
  return cpus;
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
