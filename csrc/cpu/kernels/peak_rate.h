// peak_rate.h — the best rate that equal tasks on all threads reach.
#pragma once

#include <chrono>

#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {

// Operations per second when task(i), of `operations` each, run side by side: the best seen within `seconds`.
template <class Task>
double best_rate(int threads, double seconds, double operations, const Task& task) {
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  const int64_t tasks = 8 * threads;
  const Clock::time_point begin = Clock::now();
  double best = 0;
  do {
    const Clock::time_point start = Clock::now();
    parallel_for(threads, tasks, task);
    const double rate = operations * static_cast<double>(tasks) / since(start);
    if (rate > best) best = rate;
  } while (since(begin) < seconds);
  return best;
}

}  // namespace fc::cpu::FC_ISA
