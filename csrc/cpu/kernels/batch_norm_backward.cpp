// batch_norm_backward.cpp — gradients of batch normalisation, for batch statistics and for fixed ones.
//
// Math       g = dy, where the activation was relu: y > 0 ? dy : 0      dresidual = g
//            dbeta = Σ_r g      dgamma = rstd·Σ_r g·(x − mean)      a = gamma·rstd
//            fixed statistics:   dx = a·g
//            batch statistics:   dx = a·(g − dbeta/n) − a·rstd·dgamma/n·(x − mean)
// Shapes     dy, x, y, dx, dresidual (rows,width)   sums (2,width)   gamma, dgamma, dbeta and the statistics
//            (width). gamma null means 1; y may be null where the activation is linear, dresidual always
// Blocking   one pass for the two sums (batch_norm_sums.h), unless whoever made dy has them, and one for dx;
//            narrow rows are folded
// Threads    over parts of the rows; sums are combined in ascending order
// Numerics   a block is summed in T, blocks in double; coefficients in double, rounded once
// Workspace  two doubles per part and folded column, four T per folded column
// Edges      rows = 0: dgamma and dbeta are 0. A closed relu stops whatever dy is, infinity too
// Source     Ioffe, Szegedy, "Batch Normalization", 2015, section 3
#include <math.h>

#include "core/norm_spec.h"
#include "cpu/kernels/activation.h"
#include "cpu/kernels/batch_norm_sums.h"
#include "cpu/kernels/norm.h"

namespace fc::cpu::FC_ISA {
namespace {

// What the kernels of this file keep: sums (see sum_folded_columns), then coefficients per folded column.
template <class T>
struct Workspace {
  double* sums;                      // Σ g (width), then Σ g·(x − mean) (width)
  T *mean, *scale, *slope, *offset;  // dx = g·scale + (x − mean)·slope + offset

  static size_t bytes(const NormSpec& spec) {
    return static_cast<size_t>(sums_size(spec)) * sizeof(double) +
           static_cast<size_t>(4 * folded<T>(spec.rows, spec.width).width) * sizeof(T);
  }
  Workspace(const NormSpec& spec, const Context& context)
      : sums(static_cast<double*>(context.workspace)), mean(reinterpret_cast<T*>(sums + sums_size(spec))) {
    const int64_t width = folded<T>(spec.rows, spec.width).width;
    scale = mean + width;
    slope = scale + width;
    offset = slope + width;
  }

 private:
  static int64_t sums_size(const NormSpec& spec) { return folded_sums_size<T>(spec.rows, spec.width, 2); }
};

// dy as a relu lets it through.
template <class T>
struct ReluGate {
  const T *dy, *y;
  FC_INLINE Vec<T> at(int64_t i, int64_t count) const {
    return Relu<T>().gradient_from_output(load_up_to(dy + i, count), load_up_to(y + i, count));
  }
};

template <class T>
size_t batch_norm_training_backward_workspace(const NormSpec& spec, int) {
  return Workspace<T>::bytes(spec);
}

// dgamma, dbeta, dx and dresidual; `sums` as in batch_norm_sums.h.
template <class T, class Gate>
void apply_sums(const NormSpec& spec, const Gate& gate, const T* x, const T* gamma, const T* batch_rstd,
                const double* sums, const Workspace<T>& w, T* dx, T* dgamma, T* dbeta, T* dresidual,
                int threads) {
  const int64_t rows = spec.rows, width = spec.width;
  const double n = static_cast<double>(max_of(1, rows));  // no rows: sums of 0
  for (int64_t c = 0; c < width; ++c) {
    const double rstd = batch_rstd[c], sum = sums[c], sum_x = sums[width + c];
    const double a = (gamma ? static_cast<double>(gamma[c]) : 1) * rstd;
    dbeta[c] = static_cast<T>(sum);
    dgamma[c] = static_cast<T>(sum_x * rstd);
    w.scale[c] = static_cast<T>(a);
    w.slope[c] = static_cast<T>(-a * rstd * rstd * sum_x / n);
    w.offset[c] = static_cast<T>(-a * sum / n);
  }
  for (T* columns : {w.scale, w.slope, w.offset})
    repeat_in_place(columns, width, folded<T>(rows, width).factor);
  const auto gradient = [=](int64_t at, int64_t c, int64_t count) {
    const Vec<T> g = gate.at(at, count);
    const Vec<T> d = load_up_to(x + at, count) - load_up_to(w.mean + c, count);
    const Vec<T> along_x = fma<T>(d, load_up_to(w.slope + c, count), load_up_to(w.offset + c, count));
    if (dresidual != nullptr) store_up_to(dresidual + at, g, count);
    return fma<T>(g, load_up_to(w.scale + c, count), along_x);
  };
  write_folded<T>(rows, width, threads, dx, gradient, x, gate.dy);
}

template <class T, class Gate>
void training_backward(const NormSpec& spec, const Gate& gate, const T* x, const T* gamma,
                       const T* batch_mean, const T* batch_rstd, T* dx, T* dgamma, T* dbeta, T* dresidual,
                       const Context& context) {
  const int64_t rows = spec.rows, width = spec.width;
  const int threads = threads_for(rows * width, context.threads);
  const Workspace<T> w(spec, context);
  repeat_columns(batch_mean, width, folded<T>(rows, width).factor, w.mean);
  sum_gradients(rows, width, gate, x, w.mean, w.sums, threads);
  apply_sums(spec, gate, x, gamma, batch_rstd, w.sums, w, dx, dgamma, dbeta, dresidual, threads);
}

template <class T>
void batch_norm_training_backward(const NormSpec& spec, const T* dy, const T* x, const T* y, const T* gamma,
                                  const T* batch_mean, const T* batch_rstd, T* dx, T* dgamma, T* dbeta,
                                  T* dresidual, const Context& context) {
  const auto run = [&](const auto& gate) {
    training_backward(spec, gate, x, gamma, batch_mean, batch_rstd, dx, dgamma, dbeta, dresidual, context);
  };
  if (spec.activation.kind == ActivationKind::relu) return run(ReluGate<T>{dy, y});
  run(AllOpen<T>{dy});
}

template <class T>
size_t batch_norm_training_backward_from_sums_workspace(const NormSpec& spec, int) {
  return Workspace<T>::bytes(spec);
}

template <class T>
void batch_norm_training_backward_from_sums(const NormSpec& spec, const T* dy, const T* x, const T* gamma,
                                            const T* batch_mean, const T* batch_rstd, const double* sums,
                                            T* dx, T* dgamma, T* dbeta, const Context& context) {
  const int threads = threads_for(spec.rows * spec.width, context.threads);
  const Workspace<T> w(spec, context);
  repeat_columns(batch_mean, spec.width, folded<T>(spec.rows, spec.width).factor, w.mean);
  apply_sums<T>(spec, AllOpen<T>{dy}, x, gamma, batch_rstd, sums, w, dx, dgamma, dbeta, nullptr, threads);
}

template <class T>
size_t batch_norm_inference_backward_workspace(const NormSpec& spec, int) {
  return Workspace<T>::bytes(spec);
}

template <class T>
void batch_norm_inference_backward(const NormSpec& spec, const T* dy, const T* x, const T* gamma,
                                   const T* mean, const T* variance, T* dx, T* dgamma, T* dbeta,
                                   const Context& context) {
  const int64_t rows = spec.rows, width = spec.width;
  const int threads = threads_for(rows * width, context.threads);
  const Workspace<T> w(spec, context);
  const int64_t factor = folded<T>(rows, width).factor;
  repeat_columns(mean, width, factor, w.mean);
  sum_gradients(rows, width, AllOpen<T>{dy}, x, w.mean, w.sums, threads);
  for (int64_t c = 0; c < width; ++c) {
    const double rstd = 1 / sqrt(static_cast<double>(variance[c]) + spec.epsilon);
    dbeta[c] = static_cast<T>(w.sums[c]);
    dgamma[c] = rows == 0 ? 0 : static_cast<T>(w.sums[width + c] * rstd);
    w.scale[c] = static_cast<T>((gamma ? static_cast<double>(gamma[c]) : 1) * rstd);
  }
  repeat_in_place(w.scale, width, factor);
  const auto gradient = [=](int64_t at, int64_t c, int64_t count) {
    return load_up_to(dy + at, count) * load_up_to(w.scale + c, count);
  };
  write_folded<T>(rows, width, threads, dx, gradient, dy);
}

}  // namespace

void add_batch_norm_backward(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, batch_norm_training_backward);
  FC_ADD_WITH_WORKSPACE(table, batch_norm_training_backward_from_sums);
  FC_ADD_WITH_WORKSPACE(table, batch_norm_inference_backward);
}

}  // namespace fc::cpu::FC_ISA
