// kernel_table.h — one entry per kernel: the contract that every back end fills in.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/context.h"

namespace fc {

struct Spec;

enum class KernelId : int {
#define FC_KERNEL(name, spec, signature) name,
#include "core/kernels.inc"
#undef FC_KERNEL
  count
};

inline constexpr int kKernelCount = static_cast<int>(KernelId::count);

struct Kernel {
  // `tensors` in the order of the signature in kernels.inc; the spec has the type that kernels.inc names.
  void (*run)(const Spec& spec, void* const* tensors, const Context& context) = nullptr;
  size_t (*workspace)(const Spec& spec, int threads) = nullptr;  // bytes; null means none
  const char* (*algorithm)(const Spec& spec) = nullptr;          // how it is computed; null: there is one way
};

// The kernels of each element type; a back end leaves those null that it does not have.
struct KernelTable {
  Kernel f32[kKernelCount];
  Kernel f64[kKernelCount];   // CPU
  Kernel f16[kKernelCount];   // CUDA
  Kernel bf16[kKernelCount];  // CUDA
};

}  // namespace fc
