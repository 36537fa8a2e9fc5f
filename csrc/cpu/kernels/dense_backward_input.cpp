// dense_backward_input.cpp — gradient of a fully connected layer's input.
//
// Math       dx[m,k] = Σ_n dy[m,n] · w[k,n]; then the gate's map (gate.h)
// Shapes     dy (M,N)  w (K,N)  gate (M,K) or null  dx (M,K)     C-contiguous
// Blocking   igemm.h with one tap, w transposed as it is packed
//            On AMX tiles: amx_dense.cpp, which see for its numerics
// Threads    over (row block, column panels)
// Numerics   one chain of fma per dx, ascending in n
// Workspace  dense_backward_input_workspace(spec, threads) bytes, see igemm.h
// Edges      an empty batch writes nothing
#include "cpu/kernels/dense.h"
#include "cpu/kernels/igemm.h"
#include "cpu/kernels/table.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
Igemm<T> problem(const GemmSpec& s, const T* dy, const T* w, const T* gate, T* dx) {
  return {matrix_rows(dy, s.M, s.N),
          dx,
          0,
          0,
          s.K,
          1,
          s.K,
          {w, 1, 0, 0, 1, s.N, 0},
          {nullptr, {}, {s.activation, gate, dx}}};
}

}  // namespace

template <class T>
size_t dense_backward_input_workspace(const GemmSpec& s, int threads) {
  return either_workspace(igemm_workspace(problem<T>(s, nullptr, nullptr, nullptr, nullptr), threads),
                          tried_workspace<T>(s, GemmPass::backward_input, threads));
}

template <class T>
void dense_backward_input(const GemmSpec& s, const T* dy, const T* w, const T* gate, T* dx,
                          const Context& context) {
  if constexpr (kHasAmx && std::is_same_v<T, float>) {
    if (suits_amx<T>(s, GemmPass::backward_input) && amx_dense_backward_input(s, dy, w, gate, dx, context))
      return;
  }
  igemm(problem(s, dy, w, gate, dx), context);
}

void add_dense_backward_input(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, dense_backward_input);
}

}  // namespace fc::cpu::FC_ISA
