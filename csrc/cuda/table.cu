// table.cu — CUDA's kernel table.
#include "cuda/kernels.h"

namespace fc::cuda {

void add_activation(KernelTable& table);
void add_adjust(KernelTable& table);
void add_augment(KernelTable& table);
void add_binary_forward(KernelTable& table);
void add_binary_backward(KernelTable& table);
void add_box_copy(KernelTable& table);
void add_cast(KernelTable& table);
void add_transpose(KernelTable& table);
void add_depth(KernelTable& table);
void add_dropout(KernelTable& table);
void add_embedding(KernelTable& table);
void add_rnn_forward(KernelTable& table);
void add_rnn_backward(KernelTable& table);
void add_loss_dense(KernelTable& table);
void add_loss_sparse(KernelTable& table);
void add_noise(KernelTable& table);
void add_optimizer(KernelTable& table);
void add_optimizer_adaptive(KernelTable& table);
void add_lamb(KernelTable& table);
void add_adafactor(KernelTable& table);
void add_accumulate(KernelTable& table);
void add_penalty(KernelTable& table);
void add_constraint(KernelTable& table);
void add_prelu(KernelTable& table);
void add_resample(KernelTable& table);
void add_softmax(KernelTable& table);
void add_sparsemax(KernelTable& table);
void add_vector(KernelTable& table);
void add_warp(KernelTable& table);
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
void add_conv2d_pool(KernelTable& table);
void add_dense_forward(KernelTable& table);
void add_dense_backward_input(KernelTable& table);
void add_dense_backward_weight(KernelTable& table);

namespace {

KernelTable make_table() {
  KernelTable table;
  add_activation(table);
  add_adjust(table);
  add_augment(table);
  add_binary_forward(table);
  add_binary_backward(table);
  add_box_copy(table);
  add_cast(table);
  add_transpose(table);
  add_depth(table);
  add_dropout(table);
  add_embedding(table);
  add_rnn_forward(table);
  add_rnn_backward(table);
  add_loss_dense(table);
  add_loss_sparse(table);
  add_noise(table);
  add_optimizer(table);
  add_optimizer_adaptive(table);
  add_lamb(table);
  add_adafactor(table);
  add_accumulate(table);
  add_penalty(table);
  add_constraint(table);
  add_prelu(table);
  add_resample(table);
  add_softmax(table);
  add_sparsemax(table);
  add_vector(table);
  add_warp(table);
  add_batch_norm_training(table);
  add_batch_norm_inference(table);
  add_batch_norm_backward(table);
  add_layer_norm_forward(table);
  add_layer_norm_backward(table);
  add_group_norm_forward(table);
  add_group_norm_backward(table);
  add_pool2d_forward(table);
  add_pool2d_backward(table);
  add_conv2d_forward(table);
  add_conv2d_backward_input(table);
  add_conv2d_backward_weight(table);
  add_conv2d_sums(table);
  add_conv2d_pool(table);
  add_dense_forward(table);
  add_dense_backward_input(table);
  add_dense_backward_weight(table);
  return table;
}

}  // namespace

const KernelTable& kernels() {
  static const KernelTable table = make_table();
  return table;
}

}  // namespace fc::cuda
