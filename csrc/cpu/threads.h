// threads.h — how many threads kernels may use.
#pragma once

#include <cstdint>

namespace fc::cpu {

// The number set by set_threads, else FASTCONV_NUM_THREADS, else OMP_NUM_THREADS, else the CPUs this process
// may use.
int threads();
// ValueError unless 1 <= n <= 1024.
void set_threads(int64_t n);
// What a kernel may use now: threads(), but 1 in a forked child of a process that had used several, because
// the OpenMP runtime's workers do not survive fork() and waiting for them would hang (GCC's libgomp).
int threads_for_run();
// Whether this process is such a child.
bool serial_after_fork();

}  // namespace fc::cpu
