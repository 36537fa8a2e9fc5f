// loss.cpp — the table entries of the losses.
#include "cpu/kernels/loss.h"

namespace fc::cpu::FC_ISA {

void add_loss(KernelTable& table) {
  add_dense_loss(table);
  add_sparse_loss(table);
}

}  // namespace fc::cpu::FC_ISA
