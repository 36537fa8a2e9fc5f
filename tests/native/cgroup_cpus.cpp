// cgroup_cpus.cpp — prints what csrc/cpu/cgroup.cpp finds in each folder that it is given in the place of
// "/".
#include <cstdio>

#include "cpu/cgroup.h"

int main(int count, char** folders) {
  for (int i = 1; i < count; ++i) std::printf("%g\n", fc::cpu::cgroup_cpus(folders[i]));
}
