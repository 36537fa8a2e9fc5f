// kernel_table.h — one entry per kernel: the contract that every back end fills in.
//
// Entries are found by name, so that the files of kernels do not depend on the list of all of them: a new
// line in kernels.inc compiles the core and the bindings again, and no kernel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/context.h"

namespace fc {

struct Spec;
enum class DType : uint8_t;
enum class KernelId : int;  // core/signature.h

struct Kernel {
  // `tensors` in the order of the signature in kernels.inc; the spec has the type that kernels.inc names.
  void (*run)(const Spec& spec, void* const* tensors, const Context& context) = nullptr;
  size_t (*workspace)(const Spec& spec, int threads) = nullptr;  // bytes; null means none
  const char* (*algorithm)(const Spec& spec) = nullptr;          // how it is computed; null: there is one way
};

// The kernels of each element type; a back end leaves those null that it does not have.
class KernelTable {
 public:
  KernelTable();
  // For a back end to fill in; std::logic_error where kernels.inc names no such kernel.
  Kernel& at(std::string_view name, DType dtype);
  const Kernel& at(KernelId id, DType dtype) const;  // null where there is none

 private:
  std::vector<Kernel> entries_;
};

}  // namespace fc
