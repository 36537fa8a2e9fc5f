// threads.h — how many threads kernels may use.
#pragma once

#include <cstdint>

namespace fc::cpu {

// The number set by set_threads, else FASTCONV_NUM_THREADS, else OMP_NUM_THREADS, else the CPUs this process
// may use.
int threads();
// ValueError unless 1 <= n <= 1024.
void set_threads(int64_t n);

}  // namespace fc::cpu
