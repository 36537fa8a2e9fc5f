// watched_loop.h — a loop that can be ended before it is done.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>

#include "core/interrupt.h"
#include "cpu/team.h"

namespace fc::cpu {

// Runs each piece of a loop in parts of some milliseconds. Between two of its parts the caller asks the
// interrupt; if that throws, no thread begins another part.
//
// The caller cannot ask while it waits for the others' last pieces. There are many pieces, so it waits for a
// small share of the loop's time, or of a few iterations.
class WatchedLoop {
 public:
  WatchedLoop(const Loop& loop, const Interrupt& interrupt) : loop_(loop), interrupt_(interrupt) {}

  // To be run in the place of the loop, by threads of which the caller's has slot 0.
  Loop loop() const { return {&WatchedLoop::run, this, loop_.n, kPieces}; }
  // After that: throws what the interrupt threw.
  void finish() const {
    if (thrown_) std::rethrow_exception(thrown_);
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr int64_t kPieces = 256;
  static constexpr Clock::duration kPart = std::chrono::milliseconds(2);

  static void run(const void* self, int64_t begin, int64_t end, int slot) {
    static_cast<const WatchedLoop*>(self)->run_piece(begin, end, slot);
  }

  void run_piece(int64_t begin, int64_t end, int slot) const {
    int64_t part = 1;  // iterations
    while (begin < end && !ended_.load(std::memory_order_relaxed)) {
      const Clock::time_point start = Clock::now();
      const int64_t until = std::min(begin + part, end);
      loop_.body(loop_.function, begin, until, slot);
      begin = until;
      if (Clock::now() - start < kPart) part *= 2;
      if (slot == 0) ask();
    }
  }

  void ask() const {
    try {
      interrupt_();
    } catch (...) {
      thrown_ = std::current_exception();
      ended_.store(true, std::memory_order_relaxed);
    }
  }

  const Loop loop_;
  const Interrupt& interrupt_;
  mutable std::atomic<bool> ended_{false};
  mutable std::exception_ptr thrown_;  // the caller's alone
};

}  // namespace fc::cpu
