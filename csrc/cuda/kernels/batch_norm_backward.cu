// batch_norm_backward.cu — gradients of batch normalisation, for batch statistics and for fixed ones.
//
// Math       g = dy, where the activation was relu: y > 0 ? dy : 0      dresidual = g
//            dbeta = Σ_r g      dgamma = rstd·Σ_r g·(x − mean)      a = gamma·rstd
//            fixed statistics:   dx = a·g
//            batch statistics:   dx = a·(g − dbeta/n) − a·rstd·dgamma/n·(x − mean)
//            _from_sums: the two sums are given, Σ_r g and Σ_r g·(x − mean), and g = dy
// Shapes     dy, x, y, dx, dresidual (rows,width)   gamma, dgamma, dbeta and the statistics (width)
//            float32 for every T; gamma null means 1; y may be null where the activation is linear, dresidual
//            always
// Grid/Block column_sums.cuh for the two sums, batch_norm.cuh for dx. Fixed statistics need one pass: dx is
//            written on the way
// Numerics   column_sums.cuh; coefficients in float64, rounded once to float32
// Workspace  two floats per part and folded column, four per column
// Edges      rows = 0: dgamma and dbeta are 0. A closed relu stops whatever dy is, infinity too
// Source     Ioffe, Szegedy, "Batch Normalization", 2015, section 3
#include "cuda/kernels/batch_norm.cuh"
#include "cuda/kernels/batch_norm_sums.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

// dx = g·scale + (x − mean)·slope + offset
struct GradientNumbers {
  float *mean, *scale, *slope, *offset;

  GradientNumbers(void* workspace, int64_t width)
      : mean(static_cast<float*>(workspace)),
        scale(mean + width),
        slope(scale + width),
        offset(slope + width) {}
};

size_t numbers_bytes(const NormSpec& spec) {
  return static_cast<size_t>(4 * spec.width) * sizeof(float);
}

struct FinishTraining {
  const float *gamma, *batch_mean, *batch_rstd;
  float *dgamma, *dbeta;
  double rows;
  GradientNumbers numbers;

  __device__ void operator()(int64_t c, const double (&sums)[2]) const {
    const double rstd = batch_rstd[c], a = (gamma != nullptr ? gamma[c] : 1.0f) * rstd;
    dbeta[c] = static_cast<float>(sums[0]);
    dgamma[c] = static_cast<float>(sums[1] * rstd);
    numbers.mean[c] = batch_mean[c];
    numbers.scale[c] = static_cast<float>(a);
    numbers.slope[c] = static_cast<float>(-a * rstd * rstd * sums[1] / rows);
    numbers.offset[c] = static_cast<float>(-a * sums[0] / rows);
  }
};

template <class T, int kWide_, bool kRelu>
struct WriteGradient {
  static constexpr int kWide = kWide_;
  using Loaded = typename Gated<T, kWide, kRelu>::Loaded;
  struct PerColumn {
    float mean[kWide], scale[kWide], slope[kWide], offset[kWide];
  };
  Gated<T, kWide, kRelu> gated;
  GradientNumbers numbers;
  T *dx, *dresidual;

  __device__ PerColumn columns(const ColumnIds<kWide>& ids) const {
    PerColumn columns;
#pragma unroll
    for (int j = 0; j < kWide; ++j) {
      const int64_t c = ids.c[j];
      columns.mean[j] = numbers.mean[c];
      columns.scale[j] = numbers.scale[c];
      columns.slope[j] = numbers.slope[c];
      columns.offset[j] = numbers.offset[c];
    }
    return columns;
  }
  __device__ Loaded load(int64_t at, int count) const { return gated.load(at, count); }
  __device__ void write(const Loaded& loaded, const PerColumn& c, int64_t at, int count) const {
    Items<T, kWide> result, passed;
#pragma unroll
    for (int j = 0; j < kWide; ++j) {
      const float g = loaded.g(j), d = widen(loaded.x.v[j]) - c.mean[j];
      result.v[j] = Narrow<T>::from(fmaf(g, c.scale[j], fmaf(d, c.slope[j], c.offset[j])));
      passed.v[j] = Narrow<T>::from(g);
    }
    store_first(dx + at, result, count);
    if (dresidual != nullptr) store_first(dresidual + at, passed, count);
  }
};

template <class T>
size_t batch_norm_training_backward_workspace(const NormSpec& spec, int) {
  return column_sums_bytes<T, 2>(spec.rows, spec.width) + numbers_bytes(spec);
}

template <class T, int kWide, bool kRelu>
void training_backward(const NormSpec& spec, const T* dy, const T* x, const T* y, const float* gamma,
                       const float* batch_mean, const float* batch_rstd, T* dx, float* dgamma, float* dbeta,
                       T* dresidual, const Context& context) {
  const int64_t rows = spec.rows, width = spec.width;
  const GradientNumbers numbers(context.workspace, width);
  const Gated<T, kWide, kRelu> gated{dy, x, y};
  column_sums<2>(
      context, rows, width, GradientTerms<T, kWide, kRelu>{gated, batch_mean}, numbers.offset + width,
      FinishTraining{gamma, batch_mean, batch_rstd, dgamma, dbeta, static_cast<double>(rows), numbers});
  map_columns(context, spec, WriteGradient<T, kWide, kRelu>{gated, numbers, dx, dresidual});
}

template <class T>
void batch_norm_training_backward(const NormSpec& spec, const T* dy, const T* x, const T* y,
                                  const float* gamma, const float* batch_mean, const float* batch_rstd, T* dx,
                                  float* dgamma, float* dbeta, T* dresidual, const Context& context) {
  const bool relu = spec.activation.kind == ActivationKind::relu;
  constexpr int kSize = Pack<T>::kSize;
  const auto run = aligned_for_packs(dy, x, relu ? y : nullptr, dx, dresidual)
                       ? (relu ? training_backward<T, kSize, true> : training_backward<T, kSize, false>)
                       : (relu ? training_backward<T, 1, true> : training_backward<T, 1, false>);
  run(spec, dy, x, y, gamma, batch_mean, batch_rstd, dx, dgamma, dbeta, dresidual, context);
}

__global__ void __launch_bounds__(kColumnThreads)
    finish_training_kernel(int64_t width, const double* sums, FinishTraining finish) {
  const int64_t c = global_thread();
  if (c < width) finish(c, {sums[c], sums[width + c]});
}

template <class T>
size_t batch_norm_training_backward_from_sums_workspace(const NormSpec& spec, int) {
  return numbers_bytes(spec);
}

template <class T>
void batch_norm_training_backward_from_sums(const NormSpec& spec, const T* dy, const T* x, const float* gamma,
                                            const float* batch_mean, const float* batch_rstd,
                                            const double* sums, T* dx, float* dgamma, float* dbeta,
                                            const Context& context) {
  const GradientNumbers numbers(context.workspace, spec.width);
  launch(
      finish_training_kernel, dim3(static_cast<unsigned>(ceil_div(spec.width, kColumnThreads))),
      dim3(kColumnThreads), 0, context, spec.width, sums,
      FinishTraining{gamma, batch_mean, batch_rstd, dgamma, dbeta, static_cast<double>(spec.rows), numbers});
  constexpr int kSize = Pack<T>::kSize;
  T* const none = nullptr;
  if (aligned_for_packs(dy, x, dx)) {
    map_columns(context, spec, WriteGradient<T, kSize, false>{{dy, x, none}, numbers, dx, none});
  } else {
    map_columns(context, spec, WriteGradient<T, 1, false>{{dy, x, none}, numbers, dx, none});
  }
}

// The sums of fixed statistics; dx on the way.
template <class T, int kWide_>
struct InferenceTerms {
  static constexpr int kWide = kWide_;
  using Loaded = typename Gated<T, kWide, false>::Loaded;
  struct PerColumn {
    float mean[kWide], scale[kWide];
  };
  Gated<T, kWide, false> gated;
  const float *gamma, *mean, *variance;
  T* dx;
  float epsilon;

  __device__ PerColumn columns(const ColumnIds<kWide>& ids) const {
    PerColumn columns;
#pragma unroll
    for (int j = 0; j < kWide; ++j) {
      columns.mean[j] = mean[ids.c[j]];
      columns.scale[j] = inference_scale(gamma, variance, epsilon, ids.c[j]);
    }
    return columns;
  }
  __device__ Loaded load(int64_t at, int count) const { return gated.load(at, count); }
  __device__ void add(const Loaded& loaded, const PerColumn& columns, int64_t at, int count,
                      float (&sums)[2][kWide]) const {
    Items<T, kWide> result;
    add_gradients(loaded, columns.mean, count, sums);
#pragma unroll
    for (int j = 0; j < kWide; ++j) result.v[j] = Narrow<T>::from(loaded.g(j) * columns.scale[j]);
    store_first(dx + at, result, count);
  }
};

struct FinishInference {
  const float* variance;
  float *dgamma, *dbeta;
  double epsilon;
  bool empty;
  __device__ void operator()(int64_t c, const double (&sums)[2]) const {
    dbeta[c] = static_cast<float>(sums[0]);
    dgamma[c] = empty ? 0.0f : static_cast<float>(sums[1] / sqrt(variance[c] + epsilon));
  }
};

template <class T>
size_t batch_norm_inference_backward_workspace(const NormSpec& spec, int) {
  return column_sums_bytes<T, 2>(spec.rows, spec.width);
}

template <class T>
void batch_norm_inference_backward(const NormSpec& spec, const T* dy, const T* x, const float* gamma,
                                   const float* mean, const float* variance, T* dx, float* dgamma,
                                   float* dbeta, const Context& context) {
  const auto run = [&](auto terms) {
    column_sums<2>(context, spec.rows, spec.width, terms, static_cast<float*>(context.workspace),
                   FinishInference{variance, dgamma, dbeta, spec.epsilon, spec.rows == 0});
  };
  constexpr int kSize = Pack<T>::kSize;
  const auto epsilon = static_cast<float>(spec.epsilon);
  if (aligned_for_packs(dy, x, dx)) {
    run(InferenceTerms<T, kSize>{{dy, x, nullptr}, gamma, mean, variance, dx, epsilon});
  } else {
    run(InferenceTerms<T, 1>{{dy, x, nullptr}, gamma, mean, variance, dx, epsilon});
  }
}

}  // namespace

void add_batch_norm_backward(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, batch_norm_training_backward);
  FC_ADD_WITH_WORKSPACE(table, batch_norm_training_backward_from_sums);
  FC_ADD_WITH_WORKSPACE(table, batch_norm_inference_backward);
}

}  // namespace fc::cuda
