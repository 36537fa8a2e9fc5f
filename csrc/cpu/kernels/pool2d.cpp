// pool2d.cpp — the table entries of pooling.
#include "cpu/kernels/pool2d.h"

namespace fc::cpu::FC_ISA {

void add_pool2d(KernelTable& table) {
  add_pool2d_forward(table);
  add_pool2d_backward(table);
  add_pool2d_rescan(table);
}

}  // namespace fc::cpu::FC_ISA
