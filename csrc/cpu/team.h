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
  int64_t pieces = 4;  // of a thread's share; each is claimed with one atomic addition
};

// Who helps with a loop: at most `threads` threads, the caller's among them. A loop that is over before a
// sleeping thread would come wakes none, and shares with those that are still awake after another one.
struct Crew {
  int threads;
  bool wakes = true;
  constexpr Crew(int t, bool w = true) : threads(t), wakes(w) {}
  // Where only the number is of interest, a loop that wakes nobody is a loop of one thread.
  constexpr operator int() const { return wakes ? threads : 1; }
};

// Runs all iterations on the crew and returns when the last is done. `slot` in [0, crew.threads) is a
// thread's own during the call. Which thread runs what is not determined. Where the system refuses threads,
// and inside another loop, fewer take part. The body must not throw; what an Interruptible of the caller's
// thread throws, run_loop does.
void run_loop(Crew crew, const Loop& loop);

}  // namespace fc::cpu
