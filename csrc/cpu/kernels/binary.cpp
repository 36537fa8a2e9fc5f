// binary.cpp — the table entries of broadcasting arithmetic.
#include "cpu/kernels/binary.h"

namespace fc::cpu::FC_ISA {

void add_binary(KernelTable& table) {
  add_binary_forward(table);
  add_binary_backward(table);
}

}  // namespace fc::cpu::FC_ISA
