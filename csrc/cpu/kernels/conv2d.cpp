// conv2d.cpp — the convolution's entries in the kernel table.
#include "cpu/kernels/conv2d.h"

#include "cpu/kernels/table.h"

namespace fc::cpu::FC_ISA {

void add_conv2d(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, conv2d_forward);
  FC_ADD_WITH_WORKSPACE(table, conv2d_backward_input);
  FC_ADD_WITH_WORKSPACE(table, conv2d_backward_weight);
}

}  // namespace fc::cpu::FC_ISA
