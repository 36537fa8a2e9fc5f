// layer_norm_backward.cpp — gradients of layer normalisation.
//
// Math       x̂ = (x − mean)·rstd      g = dy·gamma      dbeta = Σ_r dy      dgamma = Σ_r dy·x̂
//            dx = rstd·(g − (1/n) Σ_c g − x̂·(1/n) Σ_c g·x̂)      not centred: without the first sum
// Shapes     dy, x, dx (rows,width)   gamma (null means 1), dgamma, dbeta (width)   row_mean, row_rstd (rows)
// Blocking   128 rows: their column sums, then dx row by row from the same rows, still in cache
// Threads    over parts of the rows; column sums are combined in ascending order
// Numerics   row sums in blocks of 4096 in T, blocks in double; column sums 128 rows in T, blocks in double
// Workspace  two doubles per part and column
// Edges      rows = 0: dgamma and dbeta are 0
// Source     Ba, Kiros, Hinton, "Layer Normalization", 2016
#include "core/norm_spec.h"
#include "cpu/kernels/column_sums.h"
#include "cpu/kernels/norm.h"
#include "cpu/kernels/reduce.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
void row_gradient(const T* dy, const T* x, const T* gamma, T mean_value, T rstd_value, bool centred, T* dx,
                  int64_t n) {
  const Vec<T> mean = broadcast(mean_value), rstd = broadcast(rstd_value);
  const auto scaled_dy = [&](int64_t c, int64_t count) {
    const Vec<T> g = load_up_to(dy + c, count);
    return gamma ? g * load_up_to(gamma + c, count) : g;
  };
  const auto normal = [&](int64_t c, int64_t count) { return (load_up_to(x + c, count) - mean) * rstd; };
  double sums[2];
  sum_vectors<T, 2>(
      n,
      [&](int64_t c, int64_t count, Vec<T>* sum) {
        const Vec<T> g = scaled_dy(c, count);
        sum[0] += g;
        sum[1] = fma<T>(g, normal(c, count), sum[1]);
      },
      sums);
  const Vec<T> mean_g = broadcast(static_cast<T>(centred ? sums[0] / static_cast<double>(n) : 0));
  const Vec<T> slope = broadcast(static_cast<T>(-sums[1] / static_cast<double>(n)));
  for_each_vector<T>(n, [&](int64_t c, int64_t count) {
    const Vec<T> centred = scaled_dy(c, count) - mean_g;
    store_up_to(dx + c, fma<T>(normal(c, count), slope, centred) * rstd, count);
  });
}

template <class T>
size_t layer_norm_backward_workspace(const NormSpec& spec, int) {
  return 2 * static_cast<size_t>(max_of(1, RowParts(spec.rows).parts) * spec.width) * sizeof(double);
}

template <class T>
void layer_norm_backward(const NormSpec& spec, const T* dy, const T* x, const T* gamma, const T* row_mean,
                         const T* row_rstd, T* dx, T* dgamma, T* dbeta, const Context& context) {
  const int64_t rows = spec.rows, width = spec.width;
  const RowParts cut(rows);
  double* sums = static_cast<double*>(context.workspace);
  const auto add = [&](int64_t row, int64_t c, int64_t count, Vec<T>* sum) {
    const Vec<T> g = load_up_to(dy + row * width + c, count);
    const Vec<T> centred = load_up_to(x + row * width + c, count) - broadcast(row_mean[row]);
    sum[0] += g;
    sum[1] = fma<T>(g, centred * broadcast(row_rstd[row]), sum[1]);
  };
  for (int64_t i = 0; i < max_of(1, cut.parts) * 2 * width; ++i) sums[i] = 0;
  parallel_for(threads_for(rows * width, context.threads), cut.parts, [&](int64_t part) {
    cut.for_each_block(part, [&](int64_t begin, int64_t count) {
      sum_columns<T, 2>(begin, begin + count, width, add, sums + 2 * part * width);
      for (int64_t row = begin; row < begin + count; ++row) {
        row_gradient(dy + row * width, x + row * width, gamma, row_mean[row], row_rstd[row], spec.centred,
                     dx + row * width, width);
      }
    });
  });
  add_up_blocks(cut.parts, 2 * width, sums, context.threads);
  for (int64_t c = 0; c < width; ++c) {
    dbeta[c] = static_cast<T>(sums[c]);
    dgamma[c] = static_cast<T>(sums[width + c]);
  }
}

}  // namespace

void add_layer_norm_backward(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, layer_norm_backward);
}

}  // namespace fc::cpu::FC_ISA
