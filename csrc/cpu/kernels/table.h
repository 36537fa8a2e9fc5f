// table.h — how each family of kernels adds its entries to this ISA's table.
#pragma once

#include <utility>

#include "core/kernel_table.h"
#include "core/spec.h"
#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {

#include "core/table_entry.inc"

// FC_ADD(table, conv2d_forward, conv2d_forward_workspace): both element types of one kernel (a template over
// T).
#define FC_ADD(table, name)                               \
  (table).at(#name, DType::f32) = kernel<&name<float>>(); \
  FC_F64((table).at(#name, DType::f64) = kernel<&name<double>>())
#define FC_ADD_WITH_WORKSPACE(table, name)                                          \
  (table).at(#name, DType::f32) = kernel<&name<float>, &name##_workspace<float>>(); \
  FC_F64((table).at(#name, DType::f64) = kernel<&name<double>, &name##_workspace<double>>())

}  // namespace fc::cpu::FC_ISA
