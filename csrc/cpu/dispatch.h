// dispatch.h — the kernel table of the instruction set in use.
#pragma once

#include <string>
#include <vector>

#include "core/kernel_table.h"
#include "core/spec.h"

namespace fc::cpu {

// Instruction sets that this build has and this machine runs, slowest first.
std::vector<std::string> available_isas();
const std::string& current_isa();
// Makes `isa` ("sse2" is another name for the x86 baseline) the one in use; ValueError when it is not
// available.
void select_isa(const std::string& isa);
const KernelTable& kernels();
// Floating-point operations per second that the instruction set in use can do, measured for about `seconds`.
double peak_flops(DType dtype, int threads, double seconds);

// The same of float32 products that are split for matrix tiles, in fast precision; 0 where there are none.
double peak_split_flops(int threads, double seconds);

}  // namespace fc::cpu
