// table.cu — CUDA's kernel table.
#include "cuda/table.h"

namespace fc::cuda {
namespace {

KernelTable make_table() {
  KernelTable table;
  add_activation(table);
  add_conv2d_forward(table);
  add_conv2d_backward_input(table);
  add_conv2d_backward_weight(table);
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
