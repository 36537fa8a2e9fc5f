// dense.h — a dense layer's product seen as a convolution of one line with one tap, so that it shares
// igemm.h.
#pragma once

#include <type_traits>

#include "core/context.h"
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

enum class GemmPass { forward, backward_input, backward_weight };

// Whether a product runs on AMX tiles: by its weights alone in the forward pass, so that a sample's result
// does not depend on the batch that it is in.
template <class T>
inline bool suits_amx(const GemmSpec& s, GemmPass pass) {
  if (!kHasAmx || !std::is_same_v<T, float> || s.M == 0) return false;
  if (s.numerics.preferred == Conv2dAlgorithm::amx) return true;
  // Weights beyond kMostWeights stream from memory once, which a batch of one is better left to do in place.
  constexpr int64_t kLeastExtent = 32, kLeastWeights = 1 << 13, kMostWeights = 1 << 22, kLeastRows = 8;
  const int64_t weights = s.K * s.N;
  return s.numerics.preferred == Conv2dAlgorithm::automatic && s.K >= kLeastExtent && s.N >= kLeastExtent &&
         weights >= kLeastWeights &&
         (pass == GemmPass::forward ? weights <= kMostWeights : s.M >= kLeastRows);
}

// On AMX tiles, in kernels compiled with FC_AMX. False, with undefined results, where the direct kernel must
// run instead: the operands hold infinities, NaN or numbers of 2^48 and more.
bool amx_dense_forward(const GemmSpec& s, const float* x, const float* w, const float* bias, float* y,
                       const Context& context);
bool amx_dense_backward_input(const GemmSpec& s, const float* dy, const float* w, const float* gate,
                              float* dx, const Context& context);
bool amx_dense_backward_weight(const GemmSpec& s, const float* x, const float* dy, float* dw, float* dbias,
                               const Context& context);
size_t amx_dense_workspace(const GemmSpec& s, GemmPass pass, int threads);

// What the AMX kernel of a pass needs where it is tried; the direct one may follow in the same memory.
template <class T>
inline size_t tried_workspace(const GemmSpec& s, GemmPass pass, int threads) {
  if constexpr (kHasAmx) return suits_amx<T>(s, pass) ? amx_dense_workspace(s, pass, threads) : 0;
  return 0;
}

// Each kernel's file adds its own table entry.
void add_dense_forward(KernelTable& table);
void add_dense_backward_input(KernelTable& table);
void add_dense_backward_weight(KernelTable& table);

}  // namespace fc::cpu::FC_ISA
