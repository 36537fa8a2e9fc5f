// program.cpp — runs a flat list of kernel calls.
#include "core/program.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

namespace fc {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

void Program::find_workspaces(int threads) {
  if (threads == workspace_threads_) return;
  workspace_threads_ = 0;  // until all is well: memory may be refused
  size_t most = 0;
  workspaces_.resize(steps_.size());
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    const size_t bytes = step.kernel.workspace ? step.kernel.workspace(*step.spec, threads) : 0;
    const bool fits = bytes <= step.room_bytes;
    workspaces_[i] = fits ? step.room : nullptr;
    if (!fits) most = std::max(most, bytes);
  }
  void* own = own_workspace_.at_least(most);
  for (void*& workspace : workspaces_) {
    if (!workspace) workspace = own;
  }
  workspace_threads_ = threads;
}

bool Program::run(int threads, const Interrupt& interrupt) {
  find_workspaces(threads);
  const int chosen = choice_.threads(threads);
  const Clock::time_point start = Clock::now();
  const bool finished = run_steps(chosen, interrupt);
  if (finished) choice_.took(seconds_since(start));
  return finished;
}

bool Program::run_steps(int threads, const Interrupt& interrupt) {
  const size_t last_stop = guards_.empty() ? steps_.size() : guards_.front().before_step;
  size_t next = 0;
  const auto run_until = [&](size_t end) {
    for (; next < end; ++next) {
      const Step& step = steps_[next];
      const bool may_end = next < last_stop;
      std::optional<Interruptible> scope;
      if (may_end && step.interruptible) scope.emplace(interrupt);
      step.kernel.run(*step.spec, step.tensors.data(), {workspaces_[next], threads});
      if (may_end) interrupt();
    }
  };
  for (const Guard& guard : guards_) {
    run_until(guard.before_step);
    const double value = guard.dtype == DType::f64 ? *static_cast<const double*>(guard.scalar)
                                                   : *static_cast<const float*>(guard.scalar);
    if (!std::isfinite(value)) return false;
  }
  run_until(steps_.size());
  return true;
}

std::vector<double> Program::run_timed(int threads) {
  find_workspaces(threads);
  std::vector<double> seconds;
  seconds.reserve(steps_.size());
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    const Clock::time_point start = Clock::now();
    step.kernel.run(*step.spec, step.tensors.data(), {workspaces_[i], threads});
    seconds.push_back(seconds_since(start));
  }
  return seconds;
}

}  // namespace fc
