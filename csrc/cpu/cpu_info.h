// cpu_info.h — what this processor and operating system can run, and how many processors the process may use.
#pragma once

#include <string>

namespace fc::cpu {

// Whether both the CPU and the OS support the instruction set `isa` ("baseline", "avx2", "avx512",
// "amx"). Asking about "amx" also asks Linux to let this process, its threads and its children use it.
bool supports(const std::string& isa);
// CPUs that the scheduler's affinity mask and the cgroup's quota leave to this process; at least 1.
int usable_cpus();

}  // namespace fc::cpu
