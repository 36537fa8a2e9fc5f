// cost.h — what a kernel call must do at least, for those who compare it with what the machine can do.
#pragma once

#include <string_view>

#include "core/kernel_table.h"
#include "core/spec.h"

namespace fc {

struct Cost {
  double flops = 0;     // of the definition; multiply and add count as two
  double executed = 0;  // of the algorithm's products: fewer in Winograd's, on AMX twice as many if strict
  double bytes = 0;     // each tensor read or written once, an updated one both
};

// `tensors` as the kernel gets them: what is null is not counted. `algorithm` is the kernel's word for it.
Cost cost_of(KernelId id, const Spec& spec, void* const* tensors, std::string_view algorithm);

}  // namespace fc
