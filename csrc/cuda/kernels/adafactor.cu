// adafactor.cu — one update of a weight by its gradient, with mean squares by rows and columns: Keras 3's
// Adafactor.
//
// Math       w = w − w·decay      s = g² + ε₁      α = max(ε₂, rms(w))·ρ
//            factored: r = β·r + (1−β)·mean_c(s)      c = β·c + (1−β)·mean_r(s)      v = r/mean(r)·c
//            else:     v = β·v + (1−β)·s
//            u = g/√v      w = w − α·u/max(1, rms(u)/clip)
// Hyper      double[8], read on the device: {ρ, β, ε₁, ε₂, clip, decay}; [7]: not 0 where the step only
//            gathers gradients
// Shapes     gradient, w, velocity (outer, rows, columns)   row (outer, rows)   column (outer, columns),
//            float32
// Grid/Block sums: row_sums.cuh, matrix_sums.cuh; a thread per element elsewhere
// Numerics   as csrc/cpu/kernels/adafactor.cpp, but for the order of the sums
// Workspace  two sums, a float64 per row, column and outer, then that of the sums
// Edges      a refused step writes nothing
// Source     Shazeer, Stern, 2018, Adafactor; Keras 3, keras/src/optimizers/adafactor.py
#include <cfloat>

#include "core/factored_spec.h"
#include "cuda/device/row_sums.cuh"
#include "cuda/device/update.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

constexpr int kThreads = 256;

dim3 blocks_for(int64_t n) {
  return dim3(static_cast<unsigned>(ceil_div(n, kThreads)));
}

// Whether a step changes anything.
struct Gate {
  const double* hyper;
  const int32_t* proceed;
  __device__ bool open() const { return (proceed == nullptr || *proceed != 0) && hyper[kHolds] == 0; }
};

struct Squares {
  const float* x;
  __device__ double operator()(int64_t i) const {
    return static_cast<double>(x[i]) * static_cast<double>(x[i]);
  }
};
struct DirectionSquares {
  const float *gradient, *velocity;
  __device__ double operator()(int64_t i) const {
    return static_cast<double>(gradient[i]) * static_cast<double>(gradient[i]) /
           static_cast<double>(velocity[i]);
  }
};
struct GradientSquares {
  const float* gradient;
  const double* hyper;
  __device__ double operator()(int64_t i) const {
    return static_cast<double>(gradient[i]) * static_cast<double>(gradient[i]) + hyper[2];
  }
};
struct Plain {
  const float* x;
  __device__ double operator()(int64_t i) const { return static_cast<double>(x[i]); }
};

// Terms for both kinds of sums, over the rows and down the columns of (outer, rows, columns).
template <class F>
struct Terms {
  using Sum = double;
  F f;
  int64_t rows, columns;
  template <int kSize>
  __device__ __forceinline__ double sum(int64_t row, int64_t i) const {
    double total = 0;
#pragma unroll
    for (int j = 0; j < kSize; ++j) total += i + j < columns ? f(row * columns + i + j) : 0;
    return total;
  }
  template <int kSize>
  __device__ __forceinline__ void add(int64_t o, int64_t r, int64_t c, Sum (&sums)[kSize]) const {
#pragma unroll
    for (int j = 0; j < kSize; ++j) sums[j] += f((o * rows + r) * columns + c + j);
  }
};

// means = blend of means and sums / terms
__global__ void __launch_bounds__(kThreads)
    blend_kernel(float* means, const double* sums, int64_t n, int64_t terms, Gate gate) {
  const int64_t i = global_thread();
  if (i >= n || !gate.open()) return;
  const double beta = gate.hyper[1];
  means[i] = static_cast<float>(beta * static_cast<double>(means[i]) +
                                (1 - beta) * (sums[i] / static_cast<double>(terms)));
}

__global__ void __launch_bounds__(kThreads) decay_kernel(float* w, int64_t n, Gate gate) {
  const int64_t i = global_thread();
  if (i >= n || !gate.open()) return;
  w[i] = (Rounded(w[i]) - Rounded(w[i]) * rounded(gate.hyper[5])).value;
}

__global__ void __launch_bounds__(kThreads)
    factored_kernel(float* velocity, const float* row, const float* column, const double* row_sums, int64_t n,
                    int64_t rows, int64_t columns, Gate gate) {
  const int64_t i = global_thread();
  if (i >= n || !gate.open()) return;
  const int64_t r = i / columns, o = r / rows;
  const double mean = row_sums[o] / static_cast<double>(rows);
  const Rounded share = static_cast<float>(static_cast<double>(row[r]) / mean);
  const float product = (share * Rounded(column[o * columns + (i - r * columns)])).value;
  velocity[i] = product < FLT_MIN ? FLT_MIN : product;  // NaN stays
}

__global__ void __launch_bounds__(kThreads)
    mean_square_kernel(float* velocity, const float* gradient, int64_t n, Gate gate) {
  const int64_t i = global_thread();
  if (i >= n || !gate.open()) return;
  const double* hyper = gate.hyper;
  const Rounded g = gradient[i];
  const Rounded fresh = rounded(1 - hyper[1]) * (g * g + rounded(hyper[2]));
  velocity[i] = (rounded(hyper[1]) * Rounded(velocity[i]) + fresh).value;
}

__global__ void __launch_bounds__(kThreads)
    step_kernel(float* w, const float* gradient, const float* velocity, const double* of_w,
                const double* of_u, int64_t n, Gate gate) {
  const int64_t i = global_thread();
  if (i >= n || !gate.open()) return;
  const double* hyper = gate.hyper;
  const double count = static_cast<double>(n), alpha = fmax(hyper[3], sqrt(*of_w / count)) * hyper[0];
  const Rounded rate = rounded(alpha / fmax(1.0, sqrt(*of_u / count) / hyper[4]));
  w[i] = (Rounded(w[i]) - rate * (Rounded(gradient[i]) / square_root(Rounded(velocity[i])))).value;
}

// Where the sums lie in the workspace, in float64.
struct Places {
  int64_t of_w = 0, of_u = 1, rows = 2, columns, outer, end;
  explicit Places(const FactoredSpec& s)
      : columns(rows + s.outer * s.rows),
        outer(columns + s.outer * s.columns),
        end(ceil_div(outer + s.outer, 8) * 8) {}
};

size_t adafactor_update_workspace(const FactoredSpec& s, int) {
  const size_t whole = RowParts(1, s.n).workspace();
  const size_t by_row =
      std::max(RowParts(s.outer * s.rows, s.columns).workspace(), RowParts(s.outer, s.rows).workspace());
  const size_t by_column = s.factored() ? matrix_sums_workspace<float>(s.outer, s.rows, s.columns) : 0;
  return static_cast<size_t>(Places(s).end) * sizeof(double) + std::max({whole, by_row, by_column});
}

void renew_factors(const FactoredSpec& s, const float* gradient, const Gate& gate, float* row, float* column,
                   double* sums, const Context& context) {
  const Places at(s);
  const Terms<GradientSquares> terms{{gradient, gate.hyper}, s.rows, s.columns};
  const int64_t rows = s.outer * s.rows, columns = s.outer * s.columns;
  sum_rows<1>(context, rows, s.columns, terms, sums + at.rows, context.workspace);
  sum_columns<float>(context, s.outer, s.rows, s.columns, terms, sums + at.columns);
  launch(blend_kernel, blocks_for(rows), dim3(kThreads), 0, context, row,
         static_cast<const double*>(sums + at.rows), rows, s.columns, gate);
  launch(blend_kernel, blocks_for(columns), dim3(kThreads), 0, context, column,
         static_cast<const double*>(sums + at.columns), columns, s.rows, gate);
  sum_rows<1>(context, s.outer, s.rows, Terms<Plain>{{row}, s.outer, s.rows}, sums + at.outer,
              context.workspace);
}

void adafactor_update(const FactoredSpec& s, const float* gradient, const double* hyper, float* w, float* row,
                      float* column, float* velocity, const Context& context) {
  if (s.n == 0) return;
  const Places at(s);
  auto* sums = static_cast<double*>(context.workspace);
  Context behind = context;
  behind.workspace = sums + at.end;
  const Gate gate{hyper, context.proceed};
  launch(decay_kernel, blocks_for(s.n), dim3(kThreads), 0, context, w, s.n, gate);
  sum_rows<1>(behind, 1, s.n, Terms<Squares>{{w}, 1, s.n}, sums + at.of_w, behind.workspace);
  if (s.factored()) {
    renew_factors(s, gradient, gate, row, column, sums, behind);
    launch(factored_kernel, blocks_for(s.n), dim3(kThreads), 0, context, velocity,
           static_cast<const float*>(row), static_cast<const float*>(column),
           static_cast<const double*>(sums + at.outer), s.n, s.rows, s.columns, gate);
  } else {
    launch(mean_square_kernel, blocks_for(s.n), dim3(kThreads), 0, context, velocity, gradient, s.n, gate);
  }
  sum_rows<1>(behind, 1, s.n, Terms<DirectionSquares>{{gradient, velocity}, 1, s.n}, sums + at.of_u,
              behind.workspace);
  launch(step_kernel, blocks_for(s.n), dim3(kThreads), 0, context, w, gradient,
         static_cast<const float*>(velocity), static_cast<const double*>(sums + at.of_w),
         static_cast<const double*>(sums + at.of_u), s.n, gate);
}

}  // namespace

void add_adafactor(KernelTable& table) {
  table.at("adafactor_update", DType::f32) = kernel<&adafactor_update, &adafactor_update_workspace>();
}

}  // namespace fc::cuda
