// batch_norm_training.cpp — batch normalisation with the batch's own statistics.
//
// Math       mean[c] = (1/n) Σ_r x[r,c]      var[c] = (1/n) Σ_r (x[r,c] − mean[c])²      rstd = 1/√(var +
// epsilon)
//            y = (x − mean)·rstd·gamma + beta      new_mean = momentum·mean_in + (1−momentum)·mean, variance
//            likewise
// Shapes     x, y (rows,width)   everything else (width); gamma, beta null mean 1, 0
// Blocking   128 rows x 4 registers of columns, read twice while they are in L1: once for the centre, once
// for the
//            moments around it. So x comes from memory once for the statistics and once for y.
// Threads    over blocks of rows; block results are combined in ascending order
// Numerics   Per block: sums around the block's own mean, corrected by their first moment; blocks are
// combined in double
//            by the parallel formula. A large mean does not cancel: error is that of summing 128 squares in
//            T. What rounding mean to T loses goes into the shift, so y is as exact as if mean were a double.
// Workspace  two doubles per block and column, two T per column
// Edges      rows = 0: statistics stay as they are, batch_mean 0, batch_rstd 1.
//            new_mean and mean (new_variance and variance) may be the same memory.
// Source     Ioffe, Szegedy, "Batch Normalization", 2015; Chan, Golub, LeVeque, "Algorithms for Computing the
// Sample
//            Variance", 1983, eq. 1.7 (corrected two-pass) and 2.1 (pairwise combination).
#include <math.h>

#include "core/norm_spec.h"
#include "cpu/kernels/batch_norm_scale.h"
#include "cpu/kernels/norm.h"

namespace fc::cpu::FC_ISA {
namespace {

// Mean and sum of squared deviations of V registers of columns over a block of rows.
template <class T, int V>
FC_INLINE void strip_moments(const T* x, int64_t rows, int64_t width, int64_t count, double* mean,
                             double* squares) {
  constexpr int64_t L = kLanes<T>;
  const Vec<T> weight = broadcast(static_cast<T>(1) / static_cast<T>(rows));
  Vec<T> centre[V] = {}, first[V] = {}, second[V] = {};
  for (int64_t row = 0; row < rows; ++row) {
    for (int v = 0; v < V; ++v) {
      // Weighted before it is added: no overflow where the mean itself is representable.
      centre[v] = fma<T>(load_up_to(x + row * width + v * L, count), weight, centre[v]);
    }
  }
  for (int64_t row = 0; row < rows; ++row) {
    for (int v = 0; v < V; ++v) {
      const Vec<T> d = load_up_to(x + row * width + v * L, count) - centre[v];
      first[v] += d;
      second[v] = fma<T>(d, d, second[v]);
    }
  }
  for (int v = 0; v < V; ++v) {
    for (int64_t i = 0; i < count; ++i) {
      const double c = centre[v][i], sum = first[v][i], offset = sum / static_cast<double>(rows);
      const double rest = second[v][i] - sum * offset;
      mean[v * L + i] = c - c == 0 ? c + offset : c;  // an infinite mean stays infinite
      squares[v * L + i] = rest < 0 ? 0 : rest;
    }
  }
}

// out: mean (width), then sums of squared deviations (width).
template <class T>
void block_moments(const T* x, int64_t rows, int64_t width, double* out) {
  constexpr int kWide = 4;
  constexpr int64_t L = kLanes<T>;
  int64_t c = 0;
  for (; c + kWide * L <= width; c += kWide * L) {
    strip_moments<T, kWide>(x + c, rows, width, L, out + c, out + width + c);
  }
  for (; c + L <= width; c += L) strip_moments<T, 1>(x + c, rows, width, L, out + c, out + width + c);
  if (c < width) strip_moments<T, 1>(x + c, rows, width, width - c, out + c, out + width + c);
}

// Mean and variance of one column from its blocks' moments.
void combine_moments(const NormSpec& spec, const double* moments, int64_t column, double& mean,
                     double& variance) {
  const int64_t width = spec.width;
  const int64_t blocks = row_blocks(spec.rows);
  const double n = static_cast<double>(spec.rows);
  double total = 0;
  for (int64_t b = 0; b < blocks; ++b) {
    total +=
        static_cast<double>(min_of(kBlockRows, spec.rows - b * kBlockRows)) * moments[2 * b * width + column];
  }
  mean = total / n;
  double squares = 0;
  for (int64_t b = 0; b < blocks; ++b) {
    const double offset = moments[2 * b * width + column] - mean;
    squares += moments[(2 * b + 1) * width + column] +
               static_cast<double>(min_of(kBlockRows, spec.rows - b * kBlockRows)) * offset * offset;
  }
  variance = squares / n;
}

template <class T>
size_t batch_norm_training_workspace(const NormSpec& spec, int) {
  return static_cast<size_t>(2 * spec.width) *
         (static_cast<size_t>(row_blocks(spec.rows)) * sizeof(double) + sizeof(T));
}

template <class T>
void batch_norm_training(const NormSpec& spec, const T* x, const T* gamma, const T* beta, const T* mean,
                         const T* variance, T* y, T* new_mean, T* new_variance, T* batch_mean, T* batch_rstd,
                         const Context& context) {
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
  const int64_t blocks = row_blocks(rows);
  double* moments = static_cast<double*>(context.workspace);
  T* scale = reinterpret_cast<T*>(moments + 2 * blocks * width);
  T* shift = scale + width;
  const int threads = threads_for(rows * width, context.threads);

  parallel_for(threads, blocks, [&](int64_t b) {
    const int64_t first = b * kBlockRows;
    block_moments(x + first * width, min_of(kBlockRows, rows - first), width, moments + 2 * b * width);
  });
  constexpr int64_t kColumns = 16;
  parallel_blocks(
      threads_for(2 * blocks * width, context.threads), width, kColumns, [&](int64_t begin, int64_t end) {
        for (int64_t c = begin; c < end; ++c) {
          double m, v;
          combine_moments(spec, moments, c, m, v);
          const double rstd = 1 / sqrt(v + spec.epsilon);
          const double g = (gamma ? static_cast<double>(gamma[c]) : 1) * rstd;
          batch_mean[c] = static_cast<T>(m);
          batch_rstd[c] = static_cast<T>(rstd);
          new_mean[c] = static_cast<T>(spec.momentum * mean[c] + (1 - spec.momentum) * m);
          new_variance[c] = static_cast<T>(spec.momentum * variance[c] + (1 - spec.momentum) * v);
          scale[c] = static_cast<T>(g);
          shift[c] = static_cast<T>((beta ? static_cast<double>(beta[c]) : 0) - (m - batch_mean[c]) * g);
        }
      });
  scale_columns(rows, width, x, batch_mean, scale, shift, y, context.threads);
}

}  // namespace

void add_batch_norm_training(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, batch_norm_training);
}

}  // namespace fc::cpu::FC_ISA
