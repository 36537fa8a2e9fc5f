// dense_backward_input.cpp — gradient of a fully connected layer's input.
//
// Math       dx[m,k] = Σ_n dy[m,n] · w[k,n]; then the gate's map (gate.h)
// Shapes     dy (M,N)  w (K,N)  gate (M,K) or null  dx (M,K)     C-contiguous
// Blocking   igemm.h with one tap, w transposed as it is packed; for a few rows of dy, w is streamed once,
//            its rows times those of dy, see tile_dot.h.
//            On AMX tiles: amx_dense.cpp, which see for its numerics
// Threads    over (row block, column panels), or over blocks of w's rows
// Numerics   one chain of fma per dx, ascending in n; per lane where w is streamed
// Workspace  dense_backward_input_workspace(spec, threads) bytes: see igemm.h
// Edges      an empty batch writes nothing
#include "cpu/kernels/dense.h"
#include "cpu/kernels/igemm.h"
#include "cpu/kernels/table.h"
#include "cpu/kernels/tile_dot.h"

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

// Whether dx is memory-bound: lanes run along n, so that w is read as it lies. For a single sample that is faster
// than packing w even where half of the lanes stay empty.
template <class T>
bool suits_streaming(const GemmSpec& s) {
  return s.M <= kDotColumns<T> && (s.N >= 4 * kLanes<T> || (s.M == 1 && s.N >= 8));
}

template <class T>
void stream_weights(const GemmSpec& s, const T* dy, const T* w, const Gate<T>& gate, T* dx, int threads) {
  const Epilogue<T> none{};
  parallel_for(threads, ceil_div(s.K, kRowBlock), [&](int64_t block) {
    const T* rows[kRowBlock];
    T* out[kRowBlock];
    const int64_t first = block * kRowBlock, count = min_of(kRowBlock, s.K - first);
    for (int64_t i = 0; i < count; ++i) rows[i] = w + (first + i) * s.N, out[i] = dx + first + i;
    multiply_dot_rows<T>(s.M, {rows, kRowBlock, 1, s.N, dy, out, s.K, &none, nullptr}, count);
    for (int64_t m = 0; m < s.M; ++m) gate.finish(dx + m * s.K + first, count);
  });
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
  const Igemm<T> p = problem(s, dy, w, gate, dx);
  if (s.M > 0 && suits_streaming<T>(s)) {
    return stream_weights(s, dy, w, p.epilogue.gate, dx,
                          threads_for_products(p.products(), p.filter_size(), context.threads));
  }
  if constexpr (kHasAmx && std::is_same_v<T, float>) {
    if (suits_amx<T>(s, GemmPass::backward_input) && amx_dense_backward_input(s, dy, w, gate, dx, context))
      return;
  }
  igemm(p, context);
}

void add_dense_backward_input(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, dense_backward_input);
}

}  // namespace fc::cpu::FC_ISA
