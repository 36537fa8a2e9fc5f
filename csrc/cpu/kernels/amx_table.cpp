// amx_table.cpp — the kernel table of AMX: that of AVX-512, with the matrix products replaced.
#include "cpu/kernels/table.h"

namespace fc::cpu {
namespace avx512 {
KernelTable make_table();
}

namespace amx {

KernelTable make_table() {
  KernelTable table = avx512::make_table();
  add_conv2d(table);
  add_dense(table);
  return table;
}

}  // namespace amx
}  // namespace fc::cpu
