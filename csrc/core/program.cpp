// program.cpp — runs a flat list of kernel calls.
#include "core/program.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace fc {

size_t Program::workspace_bytes(int threads) const {
  size_t bytes = 0;
  for (const Step& step : steps_) {
    if (step.kernel.workspace) bytes = std::max(bytes, step.kernel.workspace(*step.spec, threads));
  }
  return bytes;
}

Context Program::context_for(int threads) {
  Context context;
  context.workspace = workspace_.at_least(workspace_bytes(threads));
  context.threads = threads;
  return context;
}

bool Program::run(int threads, const std::function<void()>& between) {
  const Context context = context_for(threads);
  const size_t last_stop = guards_.empty() ? steps_.size() : guards_.front().before_step;
  size_t next = 0;
  const auto run_until = [&](size_t end) {
    for (; next < end; ++next) {
      const Step& step = steps_[next];
      step.kernel.run(*step.spec, step.tensors.data(), context);
      if (next < last_stop) between();
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
  using Clock = std::chrono::steady_clock;
  const Context context = context_for(threads);
  std::vector<double> seconds;
  seconds.reserve(steps_.size());
  for (const Step& step : steps_) {
    const Clock::time_point start = Clock::now();
    step.kernel.run(*step.spec, step.tensors.data(), context);
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  return seconds;
}

}  // namespace fc
