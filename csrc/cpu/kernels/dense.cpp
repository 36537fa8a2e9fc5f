// dense.cpp — the dense layer's entries in the kernel table.
#include "cpu/kernels/dense.h"

#include "cpu/kernels/table.h"

namespace fc::cpu::FC_ISA {

void add_dense(KernelTable& table) {
  add_dense_forward(table);
  add_dense_backward_input(table);
  add_dense_backward_weight(table);
}

}  // namespace fc::cpu::FC_ISA
