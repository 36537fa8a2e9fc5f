// amx_dense.cpp — the products of a fully connected layer on AMX tiles.
//
// Math       as dense_forward.cpp, dense_backward_input.cpp, dense_backward_weight.cpp
// Blocking   amx_gemm.h
// Numerics   as amx_tile.h; tiny numbers and small integers as there
// Edges      false where amx_gemm.h refuses the operands
#include "cpu/kernels/amx_bias.h"
#include "cpu/kernels/amx_gemm.h"
#include "cpu/kernels/dense.h"

namespace fc::cpu::FC_ISA {
namespace {

// The product of a pass; its factors are (x, w), (dy, w) and (x, dy).
AmxGemm problem(const GemmSpec& s, GemmPass pass, const float* left, const float* right, float* out,
                const Epilogue<float>& epilogue) {
  switch (pass) {
    case GemmPass::forward:
      return {s.M, s.N, s.K, {left, s.K, 1, false}, {right, 1, s.N, true}, out, epilogue, false};
    case GemmPass::backward_input:
      return {s.M, s.K, s.N, {left, s.N, 1, false}, {right, s.N, 1, true}, out, epilogue, false};
    case GemmPass::backward_weight:
      break;
  }
  return {s.K, s.N, s.M, {left, 1, s.K, false}, {right, 1, s.N, true}, out, epilogue, true};
}

}  // namespace

size_t amx_dense_workspace(const GemmSpec& s, GemmPass pass, int threads) {
  WorkspaceCutter cutter(nullptr);
  if (pass == GemmPass::backward_weight) take_bias_sums(s.M, s.N, cutter);
  return cutter.bytes() + amx_gemm_workspace(problem(s, pass, nullptr, nullptr, nullptr, {}), threads);
}

bool amx_dense_forward(const GemmSpec& s, const float* x, const float* w, const float* bias, float* y,
                       const Context& context) {
  return amx_gemm(problem(s, GemmPass::forward, x, w, y, {bias, s.activation}), context);
}

bool amx_dense_backward_input(const GemmSpec& s, const float* dy, const float* w, const float* gate,
                              float* dx, const Context& context) {
  return amx_gemm(problem(s, GemmPass::backward_input, dy, w, dx, {nullptr, {}, {s.activation, gate, dx}}),
                  context);
}

bool amx_dense_backward_weight(const GemmSpec& s, const float* x, const float* dy, float* dw, float* dbias,
                               const Context& context) {
  WorkspaceCutter cutter(context.workspace);
  double* sums = take_bias_sums(s.M, s.N, cutter);
  const Context rest{reinterpret_cast<void*>(cutter.end()), context.threads};
  if (!amx_gemm(problem(s, GemmPass::backward_weight, x, dy, dw, {}), rest)) return false;
  if (dbias != nullptr) sum_bias(dy, s.M, s.N, sums, dbias, context.threads);
  return true;
}

}  // namespace fc::cpu::FC_ISA
