// layer_norm_backward.cpp — gradients of layer normalisation.
//
// Math       x̂ = (x − mean)·rstd      g = dy·gamma      dbeta = Σ_r dy      dgamma = Σ_r dy·x̂
//            dx = rstd·(g − (1/n) Σ_c g − x̂·(1/n) Σ_c g·x̂)      not centred: without the first sum
// Shapes     dy, x, dx (rows,width)   gamma (null means 1), dgamma, dbeta (width)   row_mean, row_rstd (rows)
// Blocking   128 rows: their column sums, then dx from the same rows, still in cache. Short rows go side by side
//            (row_sums.h). Results beyond the caches pass them by; while they are written, the next 128 rows are
//            fetched
// Threads    over parts of the rows; column sums are combined in ascending order
// Numerics   row sums in blocks of 4096 at most in T, blocks in double; column sums 128 rows in T, blocks in double
// Workspace  two doubles per part and column
// Edges      rows = 0: dgamma and dbeta are 0
// Source     Ba, Kiros, Hinton, "Layer Normalization", 2016
#include "core/norm_spec.h"
#include "cpu/kernels/column_sums.h"
#include "cpu/kernels/norm.h"
#include "cpu/kernels/row_sums.h"
#include "cpu/simd/stream.h"

namespace fc::cpu::FC_ISA {
namespace {

// What a row adds to its sums, and what becomes of them.
template <class T>
struct RowTerms {
  const T *dy, *x, *gamma;
  Vec<T> mean, rstd;

  FC_INLINE Vec<T> scaled_dy(int64_t c, int64_t count) const {
    const Vec<T> g = load_up_to(dy + c, count);
    return gamma ? g * load_up_to(gamma + c, count) : g;
  }
  FC_INLINE Vec<T> normal(int64_t c, int64_t count) const { return (load_up_to(x + c, count) - mean) * rstd; }

  // Σ g and Σ g·x̂
  FC_INLINE void add(int64_t c, int64_t count, Vec<T>* sums) const {
    const Vec<T> g = scaled_dy(c, count);
    sums[0] += g;
    sums[1] = fma<T>(g, normal(c, count), sums[1]);
  }

  FC_INLINE void write(T mean_g, T slope_value, T* dx, int64_t n, bool past_caches, uintptr_t ahead) const {
    const Vec<T> middle = broadcast(mean_g), slope = broadcast(slope_value);
    const auto result = [=, own = *this](int64_t c, int64_t count) {
      const Vec<T> centred = own.scaled_dy(c, count) - middle;
      return fma<T>(own.normal(c, count), slope, centred) * own.rstd;
    };
    write_vectors_ahead(dx, n, past_caches, ahead, result, dy, x);
  }
};

// Σ g and Σ g·x̂ of every row of a group; terms(i) are row i's. Rows that are not short come one by one.
template <class T, class Terms>
void sum_group(int64_t rows, int64_t width, const Terms& terms, double (&sums)[2][kLanes<T>]) {
  constexpr int64_t L = kLanes<T>;
  if (width > kShortRow<T>) {
    double own[2];
    sum_vectors<T, 2>(width, [&](int64_t c, int64_t count, Vec<T>* to) { terms(0).add(c, count, to); }, own);
    sums[0][0] = own[0], sums[1][0] = own[1];
    return;
  }
  Vec<T> totals[2];
  sum_short_rows<T, 2>(
      rows, width, [&](int64_t row, int64_t c, int64_t count, Vec<T>* to) { terms(row).add(c, count, to); },
      totals);
  for (int k = 0; k < 2; ++k) {
    T lanes[L];
    store(lanes, totals[k]);
    for (int64_t i = 0; i < L; ++i) sums[k][i] = static_cast<double>(lanes[i]);
  }
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
  const auto terms_of = [=](int64_t row) -> RowTerms<T> {
    return {dy + row * width, x + row * width, gamma, broadcast(row_mean[row]), broadcast(row_rstd[row])};
  };
  const int64_t group = width <= kShortRow<T> ? kLanes<T> : 1;
  const bool past_caches = outgrows_caches<T>(rows * width) && width % kLanes<T> == 0 && dx != dy && dx != x;
  const uintptr_t ahead = static_cast<uintptr_t>(kBlockRows * width) * sizeof(T);
  const auto write_rows = [=, &spec](int64_t first, int64_t count) {
    const auto terms = [=](int64_t i) { return terms_of(first + i); };
    double totals[2][kLanes<T>];
    sum_group<T>(count, width, terms, totals);
    const auto n = static_cast<double>(width);
    for (int64_t i = 0; i < count; ++i) {
      terms(i).write(static_cast<T>(spec.centred ? totals[0][i] / n : 0), static_cast<T>(-totals[1][i] / n),
                     dx + (first + i) * width, width, past_caches, ahead);
    }
  };
  for (int64_t i = 0; i < max_of(1, cut.parts) * 2 * width; ++i) sums[i] = 0;
  parallel_for(threads_for(rows * width, context.threads), cut.parts, [&](int64_t part) {
    cut.for_each_block(part, [&](int64_t begin, int64_t count) {
      sum_columns<T, 2>(begin, begin + count, width, add, sums + 2 * part * width);
      for (int64_t row = begin; row < begin + count; row += group) {
        write_rows(row, min_of(group, begin + count - row));
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
