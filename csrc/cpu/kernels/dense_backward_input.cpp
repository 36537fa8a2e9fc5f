// dense_backward_input.cpp — gradient of a fully connected layer's input.
//
// Math       dx[m,k] = Σ_n dy[m,n] · w[k,n]
// Shapes     dy (M,N)  w (K,N)  dx (M,K)     C-contiguous
// Blocking   igemm.h with one tap, over w transposed and packed ahead
// Threads    over (row block, column panels)
// Numerics   one chain of fma per dx, ascending in n
// Workspace  dense_backward_input_workspace(spec, threads) bytes: w packed, then what igemm needs
// Edges      an empty batch writes nothing
#include "cpu/kernels/dense.h"
#include "cpu/kernels/igemm.h"
#include "cpu/kernels/table.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
Igemm<T> problem(const GemmSpec& s, const T* dy, const T* w, T* dx) {
  return {matrix_rows(dy, s.M, s.N), dx, 0, 0, s.K, 1, s.K, {w, 1, 0, 0, 1, s.N, 0}, {}};
}

}  // namespace

template <class T>
size_t dense_backward_input_workspace(const GemmSpec& s, int threads) {
  return igemm_workspace(problem<T>(s, nullptr, nullptr, nullptr), threads);
}

template <class T>
void dense_backward_input(const GemmSpec& s, const T* dy, const T* w, T* dx, const Context& context) {
  igemm(problem(s, dy, w, dx), context);
}

void add_dense_backward_input(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, dense_backward_input);
}

}  // namespace fc::cpu::FC_ISA
