// norm.cpp — the table entries of batch, layer and group normalisation.
#include "cpu/kernels/norm.h"

namespace fc::cpu::FC_ISA {

void add_norm(KernelTable& table) {
  add_batch_norm_training(table);
  add_batch_norm_inference(table);
  add_batch_norm_backward(table);
  add_layer_norm_forward(table);
  add_layer_norm_backward(table);
  add_group_norm_forward(table);
  add_group_norm_backward(table);
}

}  // namespace fc::cpu::FC_ISA
