// table.h — CUDA's kernel table, and how each family of kernels adds its entries.
#pragma once

#include <utility>

#include "core/kernel_table.h"
#include "core/spec.h"
#include "cuda/device/storage.cuh"

namespace fc::cuda {

#include "core/table_entry.inc"

// FC_ADD(table, dropout): all storage types of one kernel, a template over T.
#define FC_ADD(table, name)                               \
  (table).at(#name, DType::f32) = kernel<&name<float>>(); \
  (table).at(#name, DType::f16) = kernel<&name<half>>();  \
  (table).at(#name, DType::bf16) = kernel<&name<bfloat16>>()
#define FC_ADD_WITH_WORKSPACE(table, name)                                          \
  (table).at(#name, DType::f32) = kernel<&name<float>, &name##_workspace<float>>(); \
  (table).at(#name, DType::f16) = kernel<&name<half>, &name##_workspace<half>>();   \
  (table).at(#name, DType::bf16) = kernel<&name<bfloat16>, &name##_workspace<bfloat16>>()

}  // namespace fc::cuda
