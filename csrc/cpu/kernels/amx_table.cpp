// amx_table.cpp — the entries of a kernel table that AMX replaces: the matrix products.
#include "cpu/kernels/families.h"

namespace fc::cpu::FC_ISA {

void add_products(KernelTable& table) {
  add_conv2d(table);
  add_dense(table);
}

}  // namespace fc::cpu::FC_ISA
