// dense_forward.cpp — fully connected layer.
//
// Math       y[m,n] = act(bias[n] + Σ_k x[m,k] · w[k,n])
// Shapes     x (M,K)  w (K,N)  bias (N) or null  y (M,N)     C-contiguous
// Blocking   igemm.h with one tap; a single row as chain_row of stream_rows.h
//            On AMX tiles: amx_dense.cpp, which see for its numerics
// Threads    over (row block, column panels): a batch of one still uses all threads
//            dense_forward_streamed: in fast precision a few rows are added in chunks, see stream_rows.h;
//            all else as dense_forward
// Numerics   one chain of fma per y, ascending in k; then + bias, then the activation. A sample's bits do not
//            depend on its batch, but for dense_forward_streamed
// Workspace  dense_forward_workspace(spec, threads) bytes: row pointers, w or a block of it packed, or sums
// Edges      an empty batch writes nothing
#include "cpu/kernels/dense.h"
#include "cpu/kernels/igemm.h"
#include "cpu/kernels/stream_rows.h"
#include "cpu/kernels/table.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
Igemm<T> problem(const GemmSpec& s, const T* x, const T* w, const T* bias, T* y) {
  return {matrix_rows(x, s.M, s.K), y, 0, 0, s.N, 1, s.N, {w, 1, 0, 0, s.N, 1, 0}, {bias, s.activation}};
}

template <class T>
StreamRows<T> streamed(const GemmSpec& s, const T* x, const T* w, const T* bias, T* y) {
  return {s.M, s.K, s.N, x, w, y, {bias, s.activation}};
}

inline bool suits_stream_rows(const GemmSpec& s) {
  return s.M > 0 && s.M <= kStreamedRows && s.numerics.precision == Precision::fast &&
         s.numerics.preferred == Conv2dAlgorithm::automatic;
}

}  // namespace

template <class T>
size_t dense_forward_workspace(const GemmSpec& s, int threads) {
  return either_workspace(igemm_workspace(problem<T>(s, nullptr, nullptr, nullptr, nullptr), threads),
                          tried_workspace<T>(s, GemmPass::forward, threads));
}

template <class T>
void dense_forward(const GemmSpec& s, const T* x, const T* w, const T* bias, T* y, const Context& context) {
  if constexpr (kHasAmx && std::is_same_v<T, float>) {
    if (suits_amx<T>(s, GemmPass::forward) && amx_dense_forward(s, x, w, bias, y, context)) return;
  }
  if (s.M == 1 && s.N > kDotColumns<T>) return chain_row(streamed(s, x, w, bias, y), context);
  igemm(problem(s, x, w, bias, y), context);
}

template <class T>
size_t dense_forward_streamed_workspace(const GemmSpec& s, int threads) {
  return suits_stream_rows(s) ? stream_rows_workspace(streamed<T>(s, nullptr, nullptr, nullptr, nullptr))
                              : dense_forward_workspace<T>(s, threads);
}

template <class T>
void dense_forward_streamed(const GemmSpec& s, const T* x, const T* w, const T* bias, T* y,
                            const Context& context) {
  if (suits_stream_rows(s)) return stream_rows(streamed(s, x, w, bias, y), context);
  dense_forward(s, x, w, bias, y, context);
}

void add_dense_forward(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, dense_forward);
  FC_ADD_WITH_WORKSPACE(table, dense_forward_streamed);
}

}  // namespace fc::cpu::FC_ISA
