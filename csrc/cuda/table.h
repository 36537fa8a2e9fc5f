// table.h — CUDA's kernel table, and how each family of kernels adds its entries.
#pragma once

#include <utility>

#include "core/kernel_table.h"
#include "core/spec.h"
#include "cuda/device/storage.cuh"
#include "cuda/kernels.h"

namespace fc::cuda {

#include "core/table_entry.inc"

// FC_ADD(table, dropout): all storage types of one kernel, a template over T.
#define FC_ADD(table, name)                                               \
  (table).f32[static_cast<int>(KernelId::name)] = kernel<&name<float>>(); \
  (table).f16[static_cast<int>(KernelId::name)] = kernel<&name<half>>();  \
  (table).bf16[static_cast<int>(KernelId::name)] = kernel<&name<bfloat16>>()
#define FC_ADD_WITH_WORKSPACE(table, name)                                                          \
  (table).f32[static_cast<int>(KernelId::name)] = kernel<&name<float>, &name##_workspace<float>>(); \
  (table).f16[static_cast<int>(KernelId::name)] = kernel<&name<half>, &name##_workspace<half>>();   \
  (table).bf16[static_cast<int>(KernelId::name)] = kernel<&name<bfloat16>, &name##_workspace<bfloat16>>()

void add_activation(KernelTable& table);
void add_augment(KernelTable& table);
void add_binary_forward(KernelTable& table);
void add_binary_backward(KernelTable& table);
void add_box_copy(KernelTable& table);
void add_cast(KernelTable& table);
void add_transpose(KernelTable& table);
void add_depth(KernelTable& table);
void add_dropout(KernelTable& table);
void add_loss_dense(KernelTable& table);
void add_loss_sparse(KernelTable& table);
void add_optimizer(KernelTable& table);
void add_prelu(KernelTable& table);
void add_softmax(KernelTable& table);
void add_vector(KernelTable& table);
void add_batch_norm_training(KernelTable& table);
void add_batch_norm_inference(KernelTable& table);
void add_batch_norm_backward(KernelTable& table);
void add_layer_norm_forward(KernelTable& table);
void add_layer_norm_backward(KernelTable& table);
void add_group_norm_forward(KernelTable& table);
void add_group_norm_backward(KernelTable& table);
void add_pool2d_forward(KernelTable& table);
void add_pool2d_backward(KernelTable& table);
void add_conv2d_forward(KernelTable& table);
void add_conv2d_backward_input(KernelTable& table);
void add_conv2d_backward_weight(KernelTable& table);
void add_conv2d_sums(KernelTable& table);
void add_dense_forward(KernelTable& table);
void add_dense_backward_input(KernelTable& table);
void add_dense_backward_weight(KernelTable& table);

}  // namespace fc::cuda
