// constraint.cu — moves weights to where they are allowed to be, in place.
//
// Math       norm_constraint  norm[o, i] = √Σ_e w[o, e, i]²
//                             w *= (rate·min(max(norm, least), most) + (1−rate)·norm)/(1e-7 + norm)
//            non_negative     w = max(w, 0)
// Shapes     w float32: (outer, extent, inner) of norm_constraint, any of non_negative
// Grid/Block norms: matrix_sums.cuh; then a thread per element
// Numerics   norms and factors in float64, factors rounded once
// Workspace  norm_constraint: a float64 per norm, then that of matrix_sums.cuh
// Edges      a refused step writes nothing. NaN in a column makes all of it NaN; max(NaN, 0) is NaN
// Source     Keras 3, keras/src/constraints/constraints.py
#include "core/penalty_spec.h"
#include "cuda/device/matrix_sums.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

constexpr int kThreads = 256;
constexpr double kEpsilon = 1e-7;  // keras.config.epsilon()

struct Squares {
  using Sum = double;
  const float* w;
  int64_t extent, inner;
  template <int kSize>
  __device__ __forceinline__ void add(int64_t o, int64_t e, int64_t i, Sum (&sums)[kSize]) const {
    const float* at = w + (o * extent + e) * inner + i;
#pragma unroll
    for (int j = 0; j < kSize; ++j) sums[j] += static_cast<double>(at[j]) * static_cast<double>(at[j]);
  }
};

struct Range {
  double least, most, rate;
};

__global__ void __launch_bounds__(kThreads) factors_kernel(double* squares, int64_t cells, Range range) {
  const int64_t i = global_thread();
  if (i >= cells) return;
  const double norm = sqrt(squares[i]);
  const double held = fmin(fmax(norm, range.least), range.most);
  squares[i] = (range.rate * held + (1 - range.rate) * norm) / (kEpsilon + norm);
}

__global__ void __launch_bounds__(kThreads)
    scale_kernel(const double* factors, float* w, int64_t n, int64_t extent, int64_t inner,
                 const int32_t* proceed) {
  const int64_t at = global_thread();
  if (at >= n || (proceed != nullptr && *proceed == 0)) return;
  const int64_t row = at / inner;
  w[at] *= static_cast<float>(factors[row / extent * inner + (at - row * inner)]);
}

__global__ void __launch_bounds__(kThreads) non_negative_kernel(float* w, int64_t n, const int32_t* proceed) {
  const int64_t at = global_thread();
  if (at < n && (proceed == nullptr || *proceed != 0)) w[at] = w[at] < 0 ? 0.0f : w[at];
}

dim3 blocks_for(int64_t n) {
  return dim3(static_cast<unsigned>(ceil_div(n, kThreads)));
}

size_t factors_bytes(const NormConstraintSpec& s) {
  return static_cast<size_t>(ceil_div(s.outer * s.inner, 8) * 8) * sizeof(double);
}

size_t norm_constraint_workspace(const NormConstraintSpec& s, int) {
  return factors_bytes(s) + matrix_sums_workspace<float>(s.outer, s.extent, s.inner);
}

void norm_constraint(const NormConstraintSpec& s, float* w, const Context& context) {
  if (s.n == 0) return;
  auto* factors = static_cast<double*>(context.workspace);
  Context behind = context;
  behind.workspace = static_cast<char*>(context.workspace) + factors_bytes(s);
  sum_columns<float>(behind, s.outer, s.extent, s.inner, Squares{w, s.extent, s.inner}, factors);
  const int64_t cells = s.outer * s.inner;
  launch(factors_kernel, blocks_for(cells), dim3(kThreads), 0, context, factors, cells,
         Range{s.least, s.most, s.rate});
  launch(scale_kernel, blocks_for(s.n), dim3(kThreads), 0, context, static_cast<const double*>(factors), w,
         s.n, s.extent, s.inner, context.proceed);
}

void non_negative(const VectorSpec& s, float* w, const Context& context) {
  if (s.n == 0) return;
  launch(non_negative_kernel, blocks_for(s.n), dim3(kThreads), 0, context, w, s.n, context.proceed);
}

}  // namespace

void add_constraint(KernelTable& table) {
  table.at("norm_constraint", DType::f32) = kernel<&norm_constraint, &norm_constraint_workspace>();
  table.at("non_negative", DType::f32) = kernel<&non_negative>();
}

}  // namespace fc::cuda
