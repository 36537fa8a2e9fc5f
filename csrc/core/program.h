// program.h — a compiled plan: a flat list of kernel calls on fixed memory.
//
// Everything was validated when the steps were added; a run validates, allocates and dispatches nothing (but
// for the workspace on the first run and when the number of threads grows).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/buffer.h"
#include "core/kernel_table.h"
#include "core/spec.h"

namespace fc {

class Program {
 public:
  struct Step {
    std::string name;
    Kernel kernel;
    std::shared_ptr<const Spec> spec;
    std::vector<void*> tensors;
  };

  // A place where run stops when the scalar is not finite, e.g. the loss before the optimizer's steps.
  void add_guard(DType dtype, const void* scalar) { guards_.push_back({steps_.size(), dtype, scalar}); }
  void add(Step step) { steps_.push_back(std::move(step)); }
  const std::vector<Step>& steps() const { return steps_; }
  size_t workspace_bytes(int threads) const;

  // False when a guard stopped it. `between` is called between two steps and may throw, but not after the
  // first guard: the steps behind it change the caller's state, all of them or none.
  bool run(int threads, const std::function<void()>& between);
  // As run, and returns the seconds that each step took.
  std::vector<double> run_timed(int threads);

 private:
  struct Guard {
    size_t before_step;
    DType dtype;
    const void* scalar;
  };

  Context context_for(int threads);

  std::vector<Step> steps_;
  std::vector<Guard> guards_;
  Buffer workspace_;
};

}  // namespace fc
