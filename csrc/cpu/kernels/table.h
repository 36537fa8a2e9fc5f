// table.h — how each family of kernels adds its entries to this ISA's table.
#pragma once

#include <utility>

#include "core/kernel_table.h"
#include "core/spec.h"

namespace fc::cpu::FC_ISA {

#include "core/table_entry.inc"

// FC_ADD(table, conv2d_forward, conv2d_forward_workspace): both element types of one kernel (a template over
// T).
#define FC_ADD(table, name)                                               \
  (table).f32[static_cast<int>(KernelId::name)] = kernel<&name<float>>(); \
  (table).f64[static_cast<int>(KernelId::name)] = kernel<&name<double>>()
#define FC_ADD_WITH_WORKSPACE(table, name)                                                          \
  (table).f32[static_cast<int>(KernelId::name)] = kernel<&name<float>, &name##_workspace<float>>(); \
  (table).f64[static_cast<int>(KernelId::name)] = kernel<&name<double>, &name##_workspace<double>>()

// Each family of kernels adds its own entries.
void add_conv2d(KernelTable& table);
void add_dense(KernelTable& table);
void add_pool2d(KernelTable& table);
void add_activation(KernelTable& table);
void add_augment(KernelTable& table);
void add_prelu(KernelTable& table);
void add_softmax(KernelTable& table);
void add_norm(KernelTable& table);
void add_dropout(KernelTable& table);
void add_binary(KernelTable& table);
void add_box_copy(KernelTable& table);
void add_cast(KernelTable& table);
void add_transpose(KernelTable& table);
void add_depth(KernelTable& table);
void add_loss(KernelTable& table);
void add_vector(KernelTable& table);  // dot, unscale, gradient_clip
void add_optimizer(KernelTable& table);

}  // namespace fc::cpu::FC_ISA
