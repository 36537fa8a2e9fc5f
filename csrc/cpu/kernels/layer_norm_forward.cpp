// layer_norm_forward.cpp — every row is centred and scaled by its own mean and variance.
//
// Math       mean[r] = (1/n) Σ_c x[r,c]      var[r] = (1/n) Σ_c (x[r,c] − mean[r])²      rstd = 1/√(var +
//            epsilon) y = (x − mean)·rstd·gamma + beta
//            Not centred (root mean square): with mean 0 throughout
// Shapes     x, y (rows,width)   gamma, beta (width), null mean 1, 0   row_mean, row_rstd (rows)
// Blocking   a row is read three times, from memory once: it stays in L1 or L2
// Threads    over blocks of rows, one writer per element
// Numerics   sums in blocks of 4096 in T, blocks in double; the second pass corrects the first pass's mean,
//            so a large mean does not cancel. What rounding mean to T loses is put back in y.
// Workspace  none
// Source     Ba, Kiros, Hinton, "Layer Normalization", 2016; Zhang, Sennrich, "Root Mean Square Layer
//            Normalization", 2019; Chan, Golub, LeVeque, 1983, eq. 1.7
#include <math.h>

#include "core/norm_spec.h"
#include "cpu/kernels/norm.h"
#include "cpu/kernels/reduce.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {
namespace {

struct Moments {
  double mean, variance;
};

template <class T>
Moments row_moments(const T* x, int64_t n, bool centred) {
  const double count_inverse = 1 / static_cast<double>(n);
  const Vec<T> weight = broadcast(static_cast<T>(count_inverse));
  double centre[1] = {0};
  if (centred) {  // Weighted before it is added: no overflow where the mean itself is representable.
    sum_vectors<T, 1>(
        n,
        [&](int64_t i, int64_t count, Vec<T>* sum) {
          sum[0] = fma<T>(load_up_to(x + i, count), weight, sum[0]);
        },
        centre);
  }
  const T rounded = static_cast<T>(centre[0]);
  double sums[2];
  sum_vectors<T, 2>(
      n,
      [&](int64_t i, int64_t count, Vec<T>* sum) {
        const Vec<T> d = load_up_to(x + i, count) - broadcast(rounded);
        sum[0] += d;
        sum[1] = fma<T>(d, d, sum[1]);
      },
      sums);
  if (!centred) return {0, sums[1] * count_inverse};
  const double offset = sums[0] * count_inverse;
  const double variance = (sums[1] - sums[0] * offset) * count_inverse;
  const double mean = rounded - rounded == 0 ? rounded + offset : static_cast<double>(rounded);
  return {mean, variance < 0 ? 0 : variance};
}

template <class T>
void layer_norm_forward(const NormSpec& spec, const T* x, const T* gamma, const T* beta, T* y, T* row_mean,
                        T* row_rstd, const Context& context) {
  const int64_t rows = spec.rows, width = spec.width;
  const Vec<T> one = broadcast(static_cast<T>(1));
  const auto normalise_row = [&](int64_t row) {
    const T* x_row = x + row * width;
    T* y_row = y + row * width;
    const Moments moments = row_moments(x_row, width, spec.centred);
    const double rstd_exact = 1 / sqrt(moments.variance + spec.epsilon);
    row_mean[row] = static_cast<T>(moments.mean);
    row_rstd[row] = static_cast<T>(rstd_exact);
    const Vec<T> mean = broadcast(row_mean[row]), rstd = broadcast(row_rstd[row]);
    const Vec<T> rest = broadcast(static_cast<T>((row_mean[row] - moments.mean) * rstd_exact));
    for_each_vector<T>(width, [&](int64_t c, int64_t count) {
      const Vec<T> normal = fma<T>(load_up_to(x_row + c, count) - mean, rstd, rest);
      const Vec<T> scale = gamma ? load_up_to(gamma + c, count) : one;
      const Vec<T> shift = beta ? load_up_to(beta + c, count) : zero<T>();
      store_up_to(y_row + c, fma<T>(normal, scale, shift), count);
    });
  };
  parallel_blocks(threads_for(rows * width, context.threads), rows, rows_per_block(width),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t row = begin; row < end; ++row) normalise_row(row);
                  });
}

}  // namespace

void add_layer_norm_forward(KernelTable& table) {
  FC_ADD(table, layer_norm_forward);
}

}  // namespace fc::cpu::FC_ISA
