// dense.h — a dense layer's product seen as a convolution of one line with one tap, so that it shares
// igemm.h.
#pragma once

#include "core/gemm_spec.h"
#include "core/kernel_table.h"
#include "cpu/kernels/image_rows.h"

namespace fc::cpu::FC_ISA {

// The rows of a C-contiguous matrix (count, length).
template <class T>
inline ImageRows<T> matrix_rows(const T* matrix, int64_t count, int64_t length) {
  return ImageRows<T>(matrix, 1, Axis{1, 1, 1, 1, 0, 1}, Axis{count, count, 1, 1, 0, 1}, length, length,
                      true);
}

// Each kernel's file adds its own table entry.
void add_dense_forward(KernelTable& table);
void add_dense_backward_input(KernelTable& table);
void add_dense_backward_weight(KernelTable& table);

}  // namespace fc::cpu::FC_ISA
