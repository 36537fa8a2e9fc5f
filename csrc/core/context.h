// context.h — what a kernel gets besides its tensors.
#pragma once

#include <cstdint>

namespace fc {

struct Context {
  void* workspace = nullptr;  // at least what the kernel's workspace function asked for; 64-byte aligned
  int threads = 1;            // CPU: upper bound; results never depend on it
  void* stream = nullptr;     // CUDA: the cudaStream_t that the kernel is queued on
  // CUDA: null, or where the device holds 0 once a program's guard has refused the step. Kernels that change
  // what outlives a step (optimizers, box_copy, gradient_clip) then write nothing.
  const int32_t* proceed = nullptr;
};

}  // namespace fc
