// program.cpp — runs a flat list of kernel calls.
#include "core/program.h"

#include <algorithm>
#include <chrono>

namespace fc {

size_t Program::workspace_bytes(int threads) const {
  size_t bytes = 0;
  for (const Step& step : steps_) {
    if (step.kernel.workspace) bytes = std::max(bytes, step.kernel.workspace(*step.spec, threads));
  }
  return bytes;
}

Context Program::context_for(int threads) {
  return {workspace_.at_least(workspace_bytes(threads)), threads};
}

void Program::run(int threads) {
  const Context context = context_for(threads);
  for (const Step& step : steps_) step.kernel.run(*step.spec, step.tensors.data(), context);
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
