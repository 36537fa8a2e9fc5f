// batch_norm_training.cpp — batch normalisation with the batch's own statistics.
//
// Math       mean[c] = (1/n) Σ_r x[r,c]      var[c] = (1/n) Σ_r (x[r,c] − mean[c])²
//            rstd = 1/√(var + epsilon)
//            y = act((x − mean)·rstd·gamma + beta + residual)      act: linear or relu
//            new_mean = momentum·mean_in + (1−momentum)·mean, variance likewise
// Shapes     x, y, residual (null means 0) (rows,width)   moments (2,width): what batch_moments.h computes
//            everything else (width); gamma, beta null mean 1, 0
// Blocking   x is read once for the moments, unless whoever made it has them, and once for y; narrow rows are
//            folded (folded.h)
// Threads    over parts of the rows, merged in ascending order
// Numerics   batch_moments.h. What rounding mean to T loses goes into the shift, so y is as exact as if mean
//            were a double.
// Workspace  the moments, or batch_moments.h's; three T per folded column
// Edges      rows = 0: statistics stay as they are, batch_mean 0, batch_rstd 1. An infinite x makes mean
//            infinite or NaN and y NaN.
//            new_mean and mean (new_variance and variance) may be the same memory.
// Source     Ioffe, Szegedy, "Batch Normalization", 2015
#include <math.h>

#include "core/norm_spec.h"
#include "cpu/kernels/batch_moments.h"
#include "cpu/kernels/batch_norm_scale.h"
#include "cpu/kernels/norm.h"
#include "cpu/kernels/workspace.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
size_t batch_norm_training_from_moments_workspace(const NormSpec& spec, int) {
  return static_cast<size_t>(ColumnScale<T>::size(spec.rows, spec.width)) * sizeof(T);
}

template <class T>
void batch_norm_training_from_moments(const NormSpec& spec, const T* x, const T* gamma, const T* beta,
                                      const T* mean, const T* variance, const T* residual,
                                      const double* moments, T* y, T* new_mean, T* new_variance,
                                      T* batch_mean, T* batch_rstd, const Context& context) {
  const int64_t rows = spec.rows, width = spec.width;
  if (rows == 0) {
    for (int64_t c = 0; c < width; ++c) {
      new_mean[c] = mean[c];
      new_variance[c] = variance[c];
      batch_mean[c] = 0;
      batch_rstd[c] = 1;
    }
    return;
  }
  const ColumnScale<T> columns(rows, width, static_cast<T*>(context.workspace));
  for (int64_t c = 0; c < width; ++c) {
    const double exact_mean = moments[c], v = moments[width + c] / static_cast<double>(rows);
    const double new_share = 1 - spec.momentum, rstd = 1 / sqrt(v + spec.epsilon);
    const double scale = (gamma ? static_cast<double>(gamma[c]) : 1) * rstd;
    batch_mean[c] = columns.mean[c] = static_cast<T>(exact_mean);
    batch_rstd[c] = static_cast<T>(rstd);
    new_mean[c] = static_cast<T>(spec.momentum * mean[c] + new_share * exact_mean);
    new_variance[c] = static_cast<T>(spec.momentum * variance[c] + new_share * v);
    columns.scale[c] = static_cast<T>(scale);
    const double shift = beta ? static_cast<double>(beta[c]) : 0;
    columns.shift[c] = static_cast<T>(shift - (exact_mean - batch_mean[c]) * scale);
  }
  const bool relu = spec.activation.kind == ActivationKind::relu;
  scale_columns(rows, width, x, columns, residual, relu, y, context.threads);
}

// The moments, then what either step needs.
template <class T>
struct TrainingWorkspace {
  double *moments, *rest;
  size_t bytes;

  TrainingWorkspace(const NormSpec& spec, void* base) : moments(static_cast<double*>(base)) {
    rest = moments + 2 * spec.width;
    bytes =
        static_cast<size_t>(2 * spec.width) * sizeof(double) +
        either_workspace(static_cast<size_t>(column_moments_size<T>(spec.rows, spec.width)) * sizeof(double),
                         batch_norm_training_from_moments_workspace<T>(spec, 1));
  }
};

template <class T>
size_t batch_norm_training_workspace(const NormSpec& spec, int) {
  return TrainingWorkspace<T>(spec, nullptr).bytes;
}

template <class T>
void batch_norm_training(const NormSpec& spec, const T* x, const T* gamma, const T* beta, const T* mean,
                         const T* variance, const T* residual, T* y, T* new_mean, T* new_variance,
                         T* batch_mean, T* batch_rstd, const Context& context) {
  const TrainingWorkspace<T> w(spec, context.workspace);
  column_moments(spec.rows, spec.width, x, w.rest, w.moments, context.threads);
  batch_norm_training_from_moments(spec, x, gamma, beta, mean, variance, residual, w.moments, y, new_mean,
                                   new_variance, batch_mean, batch_rstd, Context{w.rest, context.threads});
}

}  // namespace

void add_batch_norm_training(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, batch_norm_training);
  FC_ADD_WITH_WORKSPACE(table, batch_norm_training_from_moments);
}

}  // namespace fc::cpu::FC_ISA
