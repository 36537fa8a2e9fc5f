// dense_backward_weight.cpp — gradients of a fully connected layer's weights and bias.
//
// Math       dw[k,n] = Σ_m x[m,k] · dy[m,n],  dbias[n] = Σ_m dy[m,n]
// Shapes     x (M,K)  dy (M,N)  dw (K,N)  dbias (N) or null     C-contiguous
// Blocking   igemm_weight.h with one tap; for a few samples, dw is written row by row, see outer_rows.h
//            On AMX tiles: amx_dense.cpp, which see for its numerics
// Threads    over (chunk of rows, column panels); chunks by shape alone, added in a fixed tree
// Numerics   fma ascending in m within a chunk, then the tree
// Workspace  dense_backward_weight_workspace(spec, threads) bytes: row pointers, panels of dy, a dw per chunk
// Edges      an empty batch gives zeros
#include "cpu/kernels/dense.h"
#include "cpu/kernels/igemm_weight.h"
#include "cpu/kernels/outer_rows.h"
#include "cpu/kernels/table.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
IgemmWeight<T> problem(const GemmSpec& s, const T* x, const T* dy, T* dw, T* dbias) {
  return {matrix_rows(x, s.M, s.K), dy, 1, s.N, dw, dbias};
}

}  // namespace

template <class T>
size_t dense_backward_weight_workspace(const GemmSpec& s, int threads) {
  return either_workspace(igemm_weight_workspace(problem<T>(s, nullptr, nullptr, nullptr, nullptr), threads),
                          tried_workspace<T>(s, GemmPass::backward_weight, threads));
}

template <class T>
void dense_backward_weight(const GemmSpec& s, const T* x, const T* dy, T* dw, T* dbias,
                           const Context& context) {
  if (s.M > 0 && s.M <= kOuterRows) {
    return outer_rows(s.M, x, s.K, dy, s.N, dw, dbias, context.threads);
  }
  if constexpr (kHasAmx && std::is_same_v<T, float>) {
    if (suits_amx<T>(s, GemmPass::backward_weight) && amx_dense_backward_weight(s, x, dy, dw, dbias, context))
      return;
  }
  igemm_weight(problem(s, x, dy, dw, dbias), context);
}

void add_dense_backward_weight(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, dense_backward_weight);
}

}  // namespace fc::cpu::FC_ISA
