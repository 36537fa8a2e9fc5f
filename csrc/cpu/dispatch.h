// dispatch.h — the kernel table of the instruction set in use.
#pragma once

#include <string>
#include <vector>

#include "core/kernel_table.h"

namespace fc::cpu {

// Instruction sets that this build has and this machine runs, slowest first.
std::vector<std::string> available_isas();
const std::string& current_isa();
// Makes `isa` ("sse2" is another name for the x86 baseline) the one in use; ValueError when it is not
// available.
void select_isa(const std::string& isa);
const KernelTable& kernels();

}  // namespace fc::cpu
