// batch_norm_inference.cpp — batch normalisation with the moving statistics.
//
// Math       y = act((x − mean)·gamma/√(variance + epsilon) + beta + residual), act none or relu
// Shapes     x, residual, y (rows,width)   gamma, beta, mean, variance (width); gamma null means 1, beta
//            and residual null mean 0
// Threads    over blocks of rows, one writer per element
// Numerics   scale = gamma/√(variance + epsilon) in double, rounded once; one subtraction and one fma per
//            element. x is centred first: folding mean into the shift would cancel where the mean is large.
// Workspace  three T per folded column
// Source     Ioffe, Szegedy, "Batch Normalization", 2015, algorithm 2
#include <math.h>

#include "core/norm_spec.h"
#include "cpu/kernels/batch_norm_scale.h"
#include "cpu/kernels/norm.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
void batch_norm_scale(const NormSpec& spec, const T* gamma, const T* variance, T* scale, const Context&) {
  for (int64_t c = 0; c < spec.width; ++c) {
    const double rstd = 1 / sqrt(static_cast<double>(variance[c]) + spec.epsilon);
    scale[c] = static_cast<T>((gamma ? static_cast<double>(gamma[c]) : 1) * rstd);
  }
}

template <class T>
size_t batch_norm_inference_workspace(const NormSpec& spec, int) {
  return static_cast<size_t>(ColumnScale<T>::size(spec.rows, spec.width)) * sizeof(T);
}

template <class T>
void batch_norm_inference(const NormSpec& spec, const T* x, const T* gamma, const T* beta, const T* mean,
                          const T* variance, const T* residual, T* y, const Context& context) {
  const ColumnScale<T> columns(spec.rows, spec.width, static_cast<T*>(context.workspace));
  batch_norm_scale(spec, gamma, variance, columns.scale, context);
  for (int64_t c = 0; c < spec.width; ++c) {
    columns.mean[c] = mean[c];
    columns.shift[c] = beta ? beta[c] : 0;
  }
  const bool relu = spec.activation.kind == ActivationKind::relu;
  scale_columns(spec.rows, spec.width, x, columns, residual, relu, y, context.threads);
}

}  // namespace

void add_batch_norm_inference(KernelTable& table) {
  FC_ADD(table, batch_norm_scale);
  FC_ADD_WITH_WORKSPACE(table, batch_norm_inference);
}

}  // namespace fc::cpu::FC_ISA
