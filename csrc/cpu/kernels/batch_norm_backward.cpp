// batch_norm_backward.cpp — gradients of batch normalisation, for batch statistics and for fixed ones.
//
// Math       dbeta = Σ_r dy      dgamma = rstd·Σ_r dy·(x − mean)      a = gamma·rstd
//            fixed statistics:   dx = a·dy
//            batch statistics:   dx = a·(dy − dbeta/n) − a·rstd·dgamma/n·(x − mean)
// Shapes     dy, x, dx (rows,width)   gamma, dgamma, dbeta and the statistics (width); gamma null means 1
// Blocking   128 rows x 4 registers of columns for the two sums (column_sums.h), then one pass for dx
// Threads    over blocks of rows; sums are combined in ascending order
// Numerics   a block is summed in T, blocks in double; coefficients in double, rounded once
// Workspace  two doubles per block and column, three T per column
// Edges      rows = 0: dgamma and dbeta are 0
// Source     Ioffe, Szegedy, "Batch Normalization", 2015, section 3
#include <math.h>

#include "core/norm_spec.h"
#include "cpu/kernels/column_sums.h"
#include "cpu/kernels/norm.h"

namespace fc::cpu::FC_ISA {
namespace {

// Afterwards the workspace begins with Σ dy (width doubles), then Σ dy·(x − mean) (width doubles).
template <class T>
void sum_gradients(const NormSpec& spec, const T* dy, const T* x, const T* mean, const Context& context) {
  const int64_t rows = spec.rows, width = spec.width, blocks = row_blocks(rows);
  double* sums = static_cast<double*>(context.workspace);
  const auto add = [&](int64_t row, int64_t c, int64_t count, Vec<T>* sum) {
    const Vec<T> g = load_up_to(dy + row * width + c, count);
    sum[0] += g;
    sum[1] = fma<T>(g, load_up_to(x + row * width + c, count) - load_up_to(mean + c, count), sum[1]);
  };
  parallel_for(threads_for(rows * width, context.threads), blocks, [&](int64_t b) {
    const int64_t first = b * kBlockRows;
    sum_columns<T, 2>(first, min_of(first + kBlockRows, rows), width, add, sums + 2 * b * width);
  });
  add_up_blocks(blocks, 2 * width, sums, context.threads);
}

// The coefficients live behind the sums of all blocks.
template <class T>
T* coefficients(const NormSpec& spec, const Context& context) {
  return reinterpret_cast<T*>(static_cast<double*>(context.workspace) +
                              2 * row_blocks(spec.rows) * spec.width);
}

template <class T>
size_t batch_norm_training_backward_workspace(const NormSpec& spec, int) {
  return static_cast<size_t>(spec.width) *
         (2 * static_cast<size_t>(row_blocks(spec.rows)) * sizeof(double) + 3 * sizeof(T));
}

template <class T>
void batch_norm_training_backward(const NormSpec& spec, const T* dy, const T* x, const T* gamma,
                                  const T* batch_mean, const T* batch_rstd, T* dx, T* dgamma, T* dbeta,
                                  const Context& context) {
  const int64_t rows = spec.rows, width = spec.width;
  sum_gradients(spec, dy, x, batch_mean, context);
  const double* sums = static_cast<const double*>(context.workspace);
  T* scale = coefficients<T>(spec, context);  // a
  T* mean_dy = scale + width;                 // dbeta / n
  T* slope = mean_dy + width;                 // −a·rstd·dgamma / n
  const double n = static_cast<double>(rows);
  for (int64_t c = 0; c < width; ++c) {
    const double rstd = batch_rstd[c];
    const double a = (gamma ? static_cast<double>(gamma[c]) : 1) * rstd;
    dbeta[c] = static_cast<T>(sums[c]);
    dgamma[c] = static_cast<T>(sums[width + c] * rstd);
    scale[c] = static_cast<T>(a);
    mean_dy[c] = static_cast<T>(sums[c] / n);
    slope[c] = static_cast<T>(-a * rstd * rstd * sums[width + c] / n);
  }
  parallel_blocks(threads_for(rows * width, context.threads), rows, rows_per_block(width),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t row = begin; row < end; ++row) {
                      const T *dy_row = dy + row * width, *x_row = x + row * width;
                      T* dx_row = dx + row * width;
                      for_each_vector<T>(width, [&](int64_t c, int64_t count) {
                        const Vec<T> g = load_up_to(dy_row + c, count) - load_up_to(mean_dy + c, count);
                        const Vec<T> d = load_up_to(x_row + c, count) - load_up_to(batch_mean + c, count);
                        const Vec<T> along_x = d * load_up_to(slope + c, count);
                        store_up_to(dx_row + c, fma<T>(g, load_up_to(scale + c, count), along_x), count);
                      });
                    }
                  });
}

template <class T>
size_t batch_norm_inference_backward_workspace(const NormSpec& spec, int threads) {
  return batch_norm_training_backward_workspace<T>(spec, threads);
}

template <class T>
void batch_norm_inference_backward(const NormSpec& spec, const T* dy, const T* x, const T* gamma,
                                   const T* mean, const T* variance, T* dx, T* dgamma, T* dbeta,
                                   const Context& context) {
  const int64_t rows = spec.rows, width = spec.width;
  sum_gradients(spec, dy, x, mean, context);
  const double* sums = static_cast<const double*>(context.workspace);
  T* scale = coefficients<T>(spec, context);
  for (int64_t c = 0; c < width; ++c) {
    const double rstd = 1 / sqrt(static_cast<double>(variance[c]) + spec.epsilon);
    dbeta[c] = static_cast<T>(sums[c]);
    dgamma[c] = static_cast<T>(sums[width + c] * rstd);
    scale[c] = static_cast<T>((gamma ? static_cast<double>(gamma[c]) : 1) * rstd);
  }
  parallel_blocks(threads_for(rows * width, context.threads), rows, rows_per_block(width),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t row = begin; row < end; ++row) {
                      for_each_vector<T>(width, [&](int64_t c, int64_t count) {
                        const Vec<T> g = load_up_to(dy + row * width + c, count);
                        store_up_to(dx + row * width + c, g * load_up_to(scale + c, count), count);
                      });
                    }
                  });
}

}  // namespace

void add_batch_norm_backward(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, batch_norm_training_backward);
  FC_ADD_WITH_WORKSPACE(table, batch_norm_inference_backward);
}

}  // namespace fc::cpu::FC_ISA
