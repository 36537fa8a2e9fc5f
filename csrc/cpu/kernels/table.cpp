// table.cpp — this ISA's kernel table.
#include "cpu/kernels/families.h"

namespace fc::cpu::FC_ISA {

void add_kernels(KernelTable& table) {
  add_conv2d(table);
  add_dense(table);
  add_pool2d(table);
  add_activation(table);
  add_adjust(table);
  add_augment(table);
  add_prelu(table);
  add_softmax(table);
  add_sparsemax(table);
  add_norm(table);
  add_dropout(table);
  add_embedding(table);
  add_rnn_forward(table);
  add_rnn_backward(table);
  add_binary(table);
  add_box_copy(table);
  add_cast(table);
  add_transpose(table);
  add_depth(table);
  add_loss(table);
  add_vector(table);
  add_optimizer(table);
  add_optimizer_adaptive(table);
  add_lamb(table);
  add_adafactor(table);
  add_accumulate(table);
  add_penalty(table);
  add_constraint(table);
  add_noise(table);
  add_resample(table);
  add_warp(table);
}

}  // namespace fc::cpu::FC_ISA
