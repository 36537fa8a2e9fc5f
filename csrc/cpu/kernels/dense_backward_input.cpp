// dense_backward_input.cpp — gradient of a fully connected layer's input.
//
// Math       dx[m,k] = Σ_n dy[m,n] · w[k,n]; then the gate's map (gate.h)
// Shapes     dy (M,N)  w (K,N)  gate (M,K) or null  dx (M,K)     C-contiguous
// Blocking   igemm.h with one tap, over w transposed and packed ahead
//            On AMX tiles: amx_dense.cpp, which see for its numerics
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
Igemm<T> problem(const GemmSpec& s, const T* dy, const T* packed, const T* gate, T* dx) {
  return {
      matrix_rows(dy, s.M, s.N), dx, 0, 0, s.K, 1, s.K, {packed, 0}, {nullptr, {}, {s.activation, gate, dx}}};
}

template <class T>
T* take_packed(const GemmSpec& s, WorkspaceCutter& cutter) {
  return cutter.take<T>(Panels<T>(s.K).vectors * kLanes<T> * s.N);
}

// packed[panel][n][k] = w[k][n]
template <class T>
void pack_weights(const GemmSpec& s, const T* w, T* packed, int threads) {
  constexpr int64_t kRun = 256;
  const Panels<T> panels(s.K);
  const int64_t runs = ceil_div(s.N, kRun);
  parallel_for(threads, panels.count * runs, [&](int64_t task) {
    const int64_t panel = task / runs, n = task % runs * kRun;
    const Range vectors = panels.vectors_of(panel);
    const int64_t width = vectors.size() * kLanes<T>;
    pack_transposed(w + panels.column_of(panel) * s.N + n, s.N, min_of(kRun, s.N - n),
                    panels.columns_of(panel), width, packed + vectors.begin * kLanes<T> * s.N + n * width);
  });
}

}  // namespace

template <class T>
size_t dense_backward_input_workspace(const GemmSpec& s, int threads) {
  WorkspaceCutter cutter(nullptr);
  take_packed<T>(s, cutter);
  return either_workspace(
      cutter.bytes() + igemm_workspace(problem<T>(s, nullptr, nullptr, nullptr, nullptr), threads),
      tried_workspace<T>(s, GemmPass::backward_input, threads));
}

template <class T>
void dense_backward_input(const GemmSpec& s, const T* dy, const T* w, const T* gate, T* dx,
                          const Context& context) {
  if (s.M == 0) return;
  if constexpr (kHasAmx && std::is_same_v<T, float>) {
    if (suits_amx<T>(s, GemmPass::backward_input) && amx_dense_backward_input(s, dy, w, gate, dx, context))
      return;
  }
  WorkspaceCutter cutter(context.workspace);
  T* packed = take_packed<T>(s, cutter);
  pack_weights(s, w, packed, context.threads);
  igemm(problem<T>(s, dy, packed, gate, dx), {reinterpret_cast<void*>(cutter.end()), context.threads});
}

void add_dense_backward_input(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, dense_backward_input);
}

}  // namespace fc::cpu::FC_ISA
