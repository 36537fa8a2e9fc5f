// team.h — threads that share the iterations of a loop with the thread that calls it.
#pragma once

#include <cstdint>

namespace fc::cpu {

// A loop whose function's type has been forgotten: body(function, begin, end, slot) runs iterations
// [begin, end).
struct Loop {
  void (*body)(const void* function, int64_t begin, int64_t end, int slot);
  const void* function;
  int64_t n;
};

// Runs all iterations on at most `threads` threads, the caller's among them, and returns when the last is
// done. `slot` in [0, threads) is a thread's own during the call. Which thread runs what is not determined.
// Where the system refuses threads, and inside another loop, fewer take part. The body must not throw.
void run_loop(int threads, const Loop& loop);

}  // namespace fc::cpu
