// amx_dense.cpp — the products of a fully connected layer on AMX tiles.
//
// Math       as dense_forward.cpp, dense_backward_input.cpp, dense_backward_weight.cpp
// Blocking   amx_gemm.h; forward of a few rows: amx_rows.h, the same bits
// Numerics   as amx_tile.h; tiny numbers and small integers as there
// Edges      false where amx_gemm.h refuses the operands
#include "cpu/kernels/amx_rows.h"
#include "cpu/kernels/amx_weight.h"
#include "cpu/kernels/dense.h"

namespace fc::cpu::FC_ISA {
namespace {

AmxGemm forward_problem(const GemmSpec& s, const float* x, const float* w, const float* bias, float* y) {
  return {amx_parts(s.numerics), s.M,  s.N, s.K, {x, s.K, 1, false}, {w, 1, s.N, true}, y,
          {bias, s.activation},  false};
}

AmxGemm backward_problem(const GemmSpec& s, const float* dy, const float* w, const float* gate, float* dx) {
  const Epilogue<float> epilogue{nullptr, {}, {s.activation, gate, dx}};
  return {amx_parts(s.numerics), s.M, s.K, s.N, {dy, s.N, 1, false}, {w, s.N, 1, true}, dx, epilogue, false};
}

}  // namespace

size_t amx_dense_workspace(const GemmSpec& s, GemmPass pass, int threads) {
  switch (pass) {
    case GemmPass::forward: {
      const AmxGemm p = forward_problem(s, nullptr, nullptr, nullptr, nullptr);
      return suits_amx_rows(p) ? amx_rows_workspace(p, threads) : amx_gemm_workspace(p, threads);
    }
    case GemmPass::backward_input:
      return amx_gemm_workspace(backward_problem(s, nullptr, nullptr, nullptr, nullptr), threads);
    case GemmPass::backward_weight:
      break;
  }
  return amx_weight_workspace({amx_parts(s.numerics), s.M, s.K, s.N, nullptr, nullptr, nullptr, nullptr},
                              threads);
}

bool amx_dense_forward(const GemmSpec& s, const float* x, const float* w, const float* bias, float* y,
                       const Context& context) {
  const AmxGemm p = forward_problem(s, x, w, bias, y);
  return suits_amx_rows(p) ? amx_rows(p, context) : amx_gemm(p, context);
}

bool amx_dense_backward_input(const GemmSpec& s, const float* dy, const float* w, const float* gate,
                              float* dx, const Context& context) {
  return amx_gemm(backward_problem(s, dy, w, gate, dx), context);
}

bool amx_dense_backward_weight(const GemmSpec& s, const float* x, const float* dy, float* dw, float* dbias,
                               const Context& context) {
  return amx_weight({amx_parts(s.numerics), s.M, s.K, s.N, x, dy, dw, dbias}, context);
}

}  // namespace fc::cpu::FC_ISA
