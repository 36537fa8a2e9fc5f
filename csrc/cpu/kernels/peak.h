// peak.h — the roof that kernels are measured against.
#pragma once

#include "core/spec.h"

namespace fc::cpu::FC_ISA {

// Floating-point operations per second of multiply-adds alone: the best rate seen within about `seconds`.
double peak_flops(DType dtype, int threads, double seconds);

// The same of float32 products by AMX tiles, in fast precision; where kernels are compiled for AMX.
double peak_split_flops(int threads, double seconds);

}  // namespace fc::cpu::FC_ISA
