// norm.h — the normalisation kernels; each file adds its own.
#pragma once

#include "cpu/kernels/table.h"

namespace fc::cpu::FC_ISA {

void add_batch_norm_training(KernelTable& table);
void add_batch_norm_inference(KernelTable& table);
void add_batch_norm_backward(KernelTable& table);
void add_layer_norm_forward(KernelTable& table);
void add_layer_norm_backward(KernelTable& table);
void add_group_norm_forward(KernelTable& table);
void add_group_norm_backward(KernelTable& table);

}  // namespace fc::cpu::FC_ISA
