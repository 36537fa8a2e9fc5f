// amx_dense.h — the products of a dense layer on AMX tiles, where they exist and pay.
//
// Each function returns false where the direct kernel must run: strict precision, float64, a product too
// small to gain, an ISA without AMX, or operands that amx_gemm.h refuses.
#pragma once

#include "core/gemm_spec.h"

#if defined(FC_AMX)
#include "cpu/kernels/amx_bias.h"
#include "cpu/kernels/amx_gemm.h"
#else
#include "core/context.h"
#endif

namespace fc::cpu::FC_ISA {

enum class GemmPass { forward, backward_input, backward_weight };

#if defined(FC_AMX)

inline bool suits_amx(const GemmSpec& s) {
  constexpr int64_t kLeastExtent = 16;
  constexpr int64_t kLeastProducts = 1 << 19;
  return s.numerics.precision == Precision::fast && s.M >= kLeastExtent && s.N >= kLeastExtent &&
         s.K >= kLeastExtent && s.M * s.N * s.K >= kLeastProducts;
}

inline AmxGemm amx_problem(const GemmSpec& s, GemmPass pass, const float* left, const float* right,
                           float* out, const Epilogue<float>& epilogue) {
  switch (pass) {
    case GemmPass::forward:  // y = x · w
      return {s.M, s.N, s.K, {left, s.K, 1, false}, {right, 1, s.N, true}, out, epilogue, false};
    case GemmPass::backward_input:  // dx = dy · wᵀ
      return {s.M, s.K, s.N, {left, s.N, 1, false}, {right, s.N, 1, true}, out, {}, false};
    default:  // dw = xᵀ · dy
      return {s.K, s.N, s.M, {left, 1, s.K, false}, {right, 1, s.N, true}, out, {}, true};
  }
}

template <class T>
size_t amx_dense_workspace(const GemmSpec& s, GemmPass pass, int threads) {
  if (!std::is_same_v<T, float> || !suits_amx(s)) return 0;
  return amx_gemm_workspace(amx_problem(s, pass, nullptr, nullptr, nullptr, {}), threads);
}

template <class T>
bool amx_dense(const GemmSpec& s, GemmPass pass, const T* left, const T* right, const T* bias, T* out,
               const Context& context) {
  if constexpr (std::is_same_v<T, float>) {
    return suits_amx(s) && amx_gemm(amx_problem(s, pass, left, right, out, {bias, s.activation}), context);
  } else {
    return false;
  }
}

template <class T>
size_t amx_dense_weight_workspace(const GemmSpec& s, int threads) {
  if (!std::is_same_v<T, float> || !suits_amx(s)) return 0;
  WorkspaceCutter cutter(nullptr);
  take_bias_sums(s.M, s.N, cutter);
  return cutter.bytes() + amx_dense_workspace<T>(s, GemmPass::backward_weight, threads);
}

template <class T>
bool amx_dense_weight(const GemmSpec& s, const T* x, const T* dy, T* dw, T* dbias, const Context& context) {
  if constexpr (std::is_same_v<T, float>) {
    WorkspaceCutter cutter(context.workspace);
    double* sums = take_bias_sums(s.M, s.N, cutter);
    const Context rest{reinterpret_cast<void*>(cutter.end()), context.threads};
    if (!amx_dense<T>(s, GemmPass::backward_weight, x, dy, nullptr, dw, rest)) return false;
    if (dbias != nullptr) sum_bias(dy, s.M, s.N, sums, dbias, context.threads);
    return true;
  } else {
    return false;
  }
}

#else

template <class T>
size_t amx_dense_workspace(const GemmSpec&, GemmPass, int) {
  return 0;
}
template <class T>
bool amx_dense(const GemmSpec&, GemmPass, const T*, const T*, const T*, T*, const Context&) {
  return false;
}
template <class T>
size_t amx_dense_weight_workspace(const GemmSpec&, int) {
  return 0;
}
template <class T>
bool amx_dense_weight(const GemmSpec&, const T*, const T*, T*, T*, const Context&) {
  return false;
}

#endif

}  // namespace fc::cpu::FC_ISA
