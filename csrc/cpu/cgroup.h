// cgroup.h — the CPU time that Linux gives to a group of processes, e.g. to a container.
#pragma once

#include <string>

namespace fc::cpu {

// CPUs that the quotas of this process's cgroup and of all above it amount to; infinite where there are none.
// Both versions of cgroups count. `root` stands for "/": a test gives a folder with files of its own.
double cgroup_cpus(const std::string& root = "");

}  // namespace fc::cpu
