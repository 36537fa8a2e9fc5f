// batch_moments.h — means and sums of squared deviations of the columns of a (rows, width) matrix.
//
// Math       mean[c] = (1/n) Σ_r x[r,c]      squares[c] = Σ_r (x[r,c] − mean[c])²
// Blocking   one pass over x; narrow rows are folded (folded.h)
// Threads    over parts of the rows, merged in ascending order
// Numerics   Per block of 128 (folded) rows: sums of d and d², d = x − origin, from which the block's own
//            moments follow; the origin is the mean of the rows before (of the first 8 at the start of a
//            part), so that little cancels. Blocks are merged in double
// Workspace  column_moments_size(rows, width) doubles: five per part and folded column
// Edges      rows = 0: both are 0. An infinite x makes its column infinite or NaN
// Source     Chan, Golub, LeVeque, "Algorithms for Computing the Sample Variance", 1983, section 3 (shifted
//            data) and eq. 2.1 (combination)
#pragma once

#include "cpu/kernels/column_sums.h"

namespace fc::cpu::FC_ISA {

// Moments of many columns: their means (width doubles), then their sums of squared deviations (width).

// By sums around `origin`, which is finite and should be near the mean.
template <class T>
inline void block_moments(const T* x, const T* origin, int64_t rows, int64_t width, double* moments) {
  const Vec<T> weight = broadcast(static_cast<T>(1) / static_cast<T>(rows));
  const auto add = [=](int64_t row, int64_t c, int64_t count, Vec<T>* sums) {
    const Vec<T> d = load_up_to(x + row * width + c, count) - load_up_to(origin + c, count);
    // Weighted before it is added: no overflow where the mean itself is representable.
    sums[0] = fma<T>(d, weight, sums[0]);
    sums[1] = fma<T>(d, d, sums[1]);
  };
  for (int64_t i = 0; i < 2 * width; ++i) moments[i] = 0;
  sum_columns<T, 2>(0, rows, width, add, moments);
  for (int64_t c = 0; c < width; ++c) {
    const double offset = moments[c];
    const double squares = moments[width + c] - static_cast<double>(rows) * offset * offset;
    moments[c] = origin[c] + offset;
    moments[width + c] = squares < 0 ? 0 : squares;
  }
}

template <class T>
inline T finite_or_zero(double x) {
  const T rounded = static_cast<T>(x);
  return rounded - rounded == 0 ? rounded : T(0);
}

// The mean of the first few rows: good enough to start with.
template <class T>
inline void first_origin(const T* x, int64_t rows, int64_t width, T* origin) {
  const int64_t few = min_of(rows, 8);
  for (int64_t c = 0; c < width; ++c) {
    double total = 0;
    for (int64_t row = 0; row < few; ++row) total += x[row * width + c];
    origin[c] = finite_or_zero<T>(total / static_cast<double>(few));
  }
}

// `to`, the moments of n rows, becomes those of n + more rows.
inline void merge_moments(int64_t width, double* to, int64_t n, const double* from, int64_t more) {
  const double share = static_cast<double>(more) / static_cast<double>(n + more);
  const double spread = static_cast<double>(n) * share;
  for (int64_t c = 0; c < width; ++c) {
    const double delta = from[c] - to[c];
    to[c] += delta * share;
    to[width + c] += from[width + c] + delta * delta * spread;
  }
}

struct Moments {
  double mean = 0, squares = 0;

  void merge(int64_t n, double other_mean, double other_squares, int64_t more) {
    double pair[2] = {mean, squares};
    const double other[2] = {other_mean, other_squares};
    merge_moments(1, pair, n, other, more);
    mean = pair[0], squares = pair[1];
  }
};

// Column c out of its folded columns and of the rows that were too few to be folded.
template <class T>
inline Moments unfold(const Folded& f, int64_t width, const double* moments, const T* x, int64_t c) {
  Moments m;
  int64_t n = 0;
  if (f.rows > 0) {
    for (int64_t i = c; i < f.width; i += width, n += f.rows) {
      m.merge(n, moments[i], moments[f.width + i], f.rows);
    }
  }
  for (int64_t i = c; i < f.rest; i += width, ++n) m.merge(n, x[f.rows * f.width + i], 0, 1);
  return m;
}

// Moments of all columns: first those of every part, in any order, then their merger.
template <class T>
class ColumnMoments {
 public:
  // `workspace`: column_moments_size doubles.
  ColumnMoments(int64_t rows, int64_t width, const T* x, double* workspace)
      : folded_(folded<T>(rows, width)), parts_(folded_.rows), width_(width), x_(x), workspace_(workspace) {}

  int64_t parts() const { return parts_.parts; }
  int64_t workspace_size() const { return parts_.parts * kPartDoubles * folded_.width; }

  void take(int64_t part) const {
    const int64_t width = folded_.width;
    double *own = of_part(part), *block = own + 2 * width;
    T* origin = reinterpret_cast<T*>(block + 2 * width);
    int64_t n = 0;
    parts_.for_each_block(part, [&](int64_t first, int64_t count) {
      const T* rows = x_ + first * width;
      if (n == 0) {
        first_origin(rows, count, width, origin);
        block_moments(rows, origin, count, width, own);
      } else {
        for (int64_t c = 0; c < width; ++c) origin[c] = finite_or_zero<T>(own[c]);
        block_moments(rows, origin, count, width, block);
        merge_moments(width, own, n, block, count);
      }
      n += count;
    });
  }

  // moments[c] is the mean of column c, moments[width + c] its sum of squared deviations.
  void finish(double* moments) const {
    int64_t n = 0;
    for (int64_t part = 0; part < parts_.parts; n += parts_.part_rows(part), ++part) {
      if (part > 0) merge_moments(folded_.width, workspace_, n, of_part(part), parts_.part_rows(part));
    }
    for (int64_t c = 0; c < width_; ++c) {
      const Moments m = unfold(folded_, width_, workspace_, x_, c);
      moments[c] = m.mean, moments[width_ + c] = m.squares;
    }
  }

 private:
  // A part has its moments, those of a block, and the origin (width T in the place of as many doubles).
  static constexpr int64_t kPartDoubles = 5;  // per folded column

  double* of_part(int64_t part) const { return workspace_ + part * kPartDoubles * folded_.width; }

  Folded folded_;
  RowParts parts_;
  int64_t width_;
  const T* x_;
  double* workspace_;
};

template <class T>
inline int64_t column_moments_size(int64_t rows, int64_t width) {
  return ColumnMoments<T>(rows, width, nullptr, nullptr).workspace_size();
}

template <class T>
inline void column_moments(int64_t rows, int64_t width, const T* x, double* workspace, double* moments,
                           int threads) {
  const ColumnMoments<T> columns(rows, width, x, workspace);
  parallel_for(threads_for(rows * width, threads), columns.parts(),
               [&](int64_t part) { columns.take(part); });
  columns.finish(moments);
}

}  // namespace fc::cpu::FC_ISA
