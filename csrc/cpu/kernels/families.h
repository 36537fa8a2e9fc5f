// families.h — each family of kernels adds its own entries to this ISA's table.
#pragma once

#include "core/kernel_table.h"

namespace fc::cpu::FC_ISA {

void add_conv2d(KernelTable& table);
void add_dense(KernelTable& table);
void add_pool2d(KernelTable& table);
void add_activation(KernelTable& table);
void add_adjust(KernelTable& table);
void add_augment(KernelTable& table);
void add_prelu(KernelTable& table);
void add_softmax(KernelTable& table);
void add_sparsemax(KernelTable& table);
void add_norm(KernelTable& table);
void add_dropout(KernelTable& table);
void add_embedding(KernelTable& table);
void add_rnn_forward(KernelTable& table);
void add_rnn_backward(KernelTable& table);
void add_binary(KernelTable& table);
void add_box_copy(KernelTable& table);
void add_cast(KernelTable& table);
void add_transpose(KernelTable& table);
void add_depth(KernelTable& table);
void add_loss(KernelTable& table);
void add_vector(KernelTable& table);  // dot, unscale, gradient_clip
void add_optimizer(KernelTable& table);
void add_optimizer_adaptive(KernelTable& table);
void add_lamb(KernelTable& table);
void add_adafactor(KernelTable& table);
void add_accumulate(KernelTable& table);
void add_penalty(KernelTable& table);
void add_constraint(KernelTable& table);
void add_noise(KernelTable& table);
void add_resample(KernelTable& table);
void add_warp(KernelTable& table);

}  // namespace fc::cpu::FC_ISA
