// program.h — a compiled plan: a flat list of kernel calls on fixed memory.
//
// Everything was validated when the steps were added; a run validates, allocates and dispatches nothing (but
// for a workspace on the first run and when the number of threads grows).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/buffer.h"
#include "core/interrupt.h"
#include "core/kernel_table.h"
#include "core/spec.h"
#include "core/thread_choice.h"

namespace fc {

class Program {
 public:
  struct Step {
    std::string name;
    Kernel kernel;
    std::shared_ptr<const Spec> spec;
    std::vector<void*> tensors;
    void* room = nullptr;  // where the plan has room for the step's workspace; 64-byte aligned
    size_t room_bytes = 0;
    bool interruptible = false;  // it may take long, and nothing is lost when it ends in the middle
  };

  // A place where run stops when the scalar is not finite, e.g. the loss before the optimizer's steps.
  void add_guard(DType dtype, const void* scalar) { guards_.push_back({steps_.size(), dtype, scalar}); }
  void add(Step step) { steps_.push_back(std::move(step)), workspace_threads_ = 0; }
  const std::vector<Step>& steps() const { return steps_; }

  // On at most so many threads. False when a guard stopped it. The interrupt is asked between two steps and
  // within interruptible ones, but not after the first guard: the steps behind it change the caller's state,
  // all of them or none.
  bool run(int threads, const Interrupt& interrupt);
  // As run, and returns the seconds that each step took.
  std::vector<double> run_timed(int threads);

 private:
  struct Guard {
    size_t before_step;
    DType dtype;
    const void* scalar;
  };

  bool run_steps(int threads, const Interrupt& interrupt);
  // Sets workspaces_: the plan's room, or a block of our own where that is too small for so many threads.
  void find_workspaces(int threads);

  std::vector<Step> steps_;
  std::vector<Guard> guards_;
  Buffer own_workspace_;
  std::vector<void*> workspaces_;  // of each step
  int workspace_threads_ = 0;      // that they suffice for; 0: none have been found
  ThreadChoice choice_;
};

}  // namespace fc
