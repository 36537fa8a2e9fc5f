// program.h — a compiled plan: a flat list of kernel calls on fixed memory.
//
// Everything was validated when the steps were added; a run validates, allocates and dispatches nothing (but
// for the workspace on the first run and when the number of threads grows).
#pragma once

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

  void add(Step step) { steps_.push_back(std::move(step)); }
  const std::vector<Step>& steps() const { return steps_; }
  size_t workspace_bytes(int threads) const;

  void run(int threads);
  // As run, and returns the seconds that each step took.
  std::vector<double> run_timed(int threads);

 private:
  Context context_for(int threads);

  std::vector<Step> steps_;
  Buffer workspace_;
};

}  // namespace fc
