// layer_norm_forward.cpp — every row is centred and scaled by its own mean and variance.
//
// Math       mean[r] = (1/n) Σ_c x[r,c]      var[r] = (1/n) Σ_c (x[r,c] − mean[r])²      rstd = 1/√(var +
//            epsilon) y = (x − mean)·rstd·gamma + beta
//            Not centred (root mean square): with mean 0 throughout
// Shapes     x, y (rows,width)   gamma, beta (width), null mean 1, 0   row_mean, row_rstd (rows)
// Blocking   a row is read three times, from memory once: it stays in L1 or L2. Short rows go side by side
//            (row_sums.h). Results beyond the caches pass them by; while they are written, the rows after the next
//            are fetched
// Threads    over blocks of rows, one writer per element
// Numerics   sums in blocks of 4096 at most in T, blocks in double; the second pass corrects the first pass's mean,
//            so a large mean does not cancel. What rounding mean to T loses is put back in y.
// Workspace  none
// Source     Ba, Kiros, Hinton, "Layer Normalization", 2016; Zhang, Sennrich, "Root Mean Square Layer
//            Normalization", 2019; Chan, Golub, LeVeque, 1983, eq. 1.7
#include <math.h>

#include "core/norm_spec.h"
#include "cpu/kernels/norm.h"
#include "cpu/kernels/row_sums.h"
#include "cpu/parallel.h"
#include "cpu/simd/stream.h"

namespace fc::cpu::FC_ISA {
namespace {

struct Moments {
  double mean, variance;
};

// Out of Σ d and Σ d², d = x − centre, `share` of each.
template <class T>
FC_INLINE Moments moments_around(T centre, double sum, double squares, double share, bool centred) {
  if (!centred) return {0, squares * share};
  const double offset = sum * share, variance = (squares - sum * offset) * share;
  const double mean = centre - centre == 0 ? centre + offset : static_cast<double>(centre);
  return {mean, variance < 0 ? 0 : variance};
}

template <class T>
Moments row_moments(const T* x, int64_t n, bool centred) {
  const double share = 1 / static_cast<double>(n);
  const Vec<T> weight = broadcast(static_cast<T>(share));
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
  return moments_around(rounded, sums[0], sums[1], share, centred);
}

// What a group of rows is scaled by: normal = (x − mean)·rstd + rest.
template <class T>
struct RowScales {
  T mean[kLanes<T>], rstd[kLanes<T>], rest[kLanes<T>];

  FC_INLINE void set(int64_t i, const Moments& moments, double epsilon) {
    const double exact = 1 / sqrt(moments.variance + epsilon);
    mean[i] = static_cast<T>(moments.mean);
    rstd[i] = static_cast<T>(exact);
    rest[i] = static_cast<T>((mean[i] - moments.mean) * exact);
  }
};

// Of short rows. As row_moments, but for the order of additions.
template <class T>
void scale_group(const NormSpec& s, const T* x, int64_t rows, RowScales<T>& scales) {
  constexpr int64_t L = kLanes<T>;
  const int64_t width = s.width;
  const double share = 1 / static_cast<double>(width);
  const Vec<T> weight = broadcast(static_cast<T>(share));
  Vec<T> centre[1] = {}, sums[2];
  if (s.centred) {
    sum_short_rows<T, 1>(
        rows, width,
        [=](int64_t row, int64_t c, int64_t count, Vec<T>* sum) {
          sum[0] = fma<T>(load_up_to(x + row * width + c, count), weight, sum[0]);
        },
        centre);
  }
  T centres[L], offsets[L], squares[L];
  store(centres, centre[0]);
  sum_short_rows<T, 2>(
      rows, width,
      [=, &centres](int64_t row, int64_t c, int64_t count, Vec<T>* sum) {
        const Vec<T> d = load_up_to(x + row * width + c, count) - broadcast(centres[row]);
        sum[0] += d;
        sum[1] = fma<T>(d, d, sum[1]);
      },
      sums);
  store(offsets, sums[0]), store(squares, sums[1]);
  for (int64_t i = 0; i < L; ++i) {
    scales.set(i, moments_around(centres[i], offsets[i], squares[i], share, s.centred), s.epsilon);
  }
}

template <class T>
void layer_norm_forward(const NormSpec& spec, const T* x, const T* gamma, const T* beta, T* y, T* row_mean,
                        T* row_rstd, const Context& context) {
  const int64_t rows = spec.rows, width = spec.width;
  const Vec<T> one = broadcast(static_cast<T>(1));
  const bool past_caches = outgrows_caches<T>(rows * width) && width % kLanes<T> == 0 && y != x;
  const int64_t group = width <= kShortRow<T> ? kLanes<T> : 1;
  const uintptr_t ahead = kPrefetchBytes + static_cast<uintptr_t>(group * width) * sizeof(T);
  const auto write_row = [=](const T* from, Vec<T> mean, Vec<T> rstd, Vec<T> rest, T* to) {
    const auto result = [=](int64_t c, int64_t count) {
      const Vec<T> normal = fma<T>(load_up_to(from + c, count) - mean, rstd, rest);
      const Vec<T> scale = gamma ? load_up_to(gamma + c, count) : one;
      const Vec<T> shift = beta ? load_up_to(beta + c, count) : zero<T>();
      return fma<T>(normal, scale, shift);
    };
    write_vectors_ahead(to, width, past_caches, ahead, result, from);
  };
  const auto normalise_rows = [=, &spec](int64_t first, int64_t count) {
    const T* from = x + first * width;
    RowScales<T> scales;
    if (group > 1) {
      scale_group(spec, from, count, scales);
    } else {
      scales.set(0, row_moments(from, width, spec.centred), spec.epsilon);
    }
    for (int64_t i = 0; i < count; ++i) {
      row_mean[first + i] = scales.mean[i], row_rstd[first + i] = scales.rstd[i];
      write_row(from + i * width, broadcast(scales.mean[i]), broadcast(scales.rstd[i]),
                broadcast(scales.rest[i]), y + (first + i) * width);
    }
  };
  parallel_blocks(threads_for(rows * width, context.threads), rows, rows_per_block(width),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t row = begin; row < end; row += group) {
                      normalise_rows(row, min_of(group, end - row));
                    }
                  });
}

}  // namespace

void add_layer_norm_forward(KernelTable& table) {
  FC_ADD(table, layer_norm_forward);
}

}  // namespace fc::cpu::FC_ISA
