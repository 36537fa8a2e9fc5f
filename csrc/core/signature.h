// signature.h — the tensors of each kernel, parsed once from kernels.inc.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/kernel_table.h"
#include "core/spec.h"

namespace fc {

enum class KernelId : int {
#define FC_KERNEL(name, spec, signature) name,
#include "core/kernels.inc"
#undef FC_KERNEL
  count
};

inline constexpr int kKernelCount = static_cast<int>(KernelId::count);

struct Argument {
  std::string name;
  std::optional<DType> dtype;  // empty: the spec's own
  bool wide = false;           // float32 where the spec's own is of 16 bits
  bool to = false;             // what a CastSpec casts to
  bool optional = false;       // may be null
  bool output = false;         // written
  bool updated = false;        // read before it is written, or only partly written

  DType type_in(const Spec& spec) const;
};

struct Signature {
  std::string kernel;
  std::string text;
  std::vector<Argument> arguments;
};

const Signature& signature_of(KernelId id);
// The kernel called `name`, or std::logic_error.
KernelId kernel_from_name(const std::string& name);
// Whether `spec` has the type that kernels.inc names for the kernel.
bool spec_fits(KernelId id, const Spec& spec);

}  // namespace fc
