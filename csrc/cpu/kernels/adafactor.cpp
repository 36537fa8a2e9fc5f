// adafactor.cpp — one update of a weight by its gradient, with mean squares by rows and columns: Keras 3's
// Adafactor.
//
// Math       w = w − w·decay      s = g² + ε₁      α = max(ε₂, rms(w))·ρ
//            factored: r = β·r + (1−β)·mean_c(s)      c = β·c + (1−β)·mean_r(s)      v = r/mean(r)·c
//            else:     v = β·v + (1−β)·s
//            u = g/√v      w = w − α·u/max(1, rms(u)/clip)
// Hyper      double[8]: {ρ, β, ε₁, ε₂, clip, decay}; [7]: not 0 where the step only gathers gradients
// Shapes     gradient, w, velocity (outer, rows, columns)   row (outer, rows)   column (outer, columns)
// Threads    over rows, over tiles of 64 columns, then over blocks of 4096 elements; a sum has one writer, or
//            its blocks are added in ascending order
// Numerics   sums in double, coefficients in double, rounded once; u in T
// Workspace  a double per block of 4096 elements
// Edges      v is a normal number: where a row's and a column's gradients are all 0, r/mean(r)·c may be below
//            those of T, and 0/√0 is NaN
// Source     Shazeer, Stern, 2018, Adafactor; Keras 3, keras/src/optimizers/adafactor.py
#include <math.h>

#include "core/factored_spec.h"
#include "cpu/kernels/optimizer.h"
#include "cpu/kernels/reduce.h"
#include "cpu/kernels/table.h"

namespace fc::cpu::FC_ISA {
namespace {

constexpr int64_t kTile = 64;

template <class T>
size_t adafactor_update_workspace(const FactoredSpec& s, int) {
  return static_cast<size_t>(max_of(1, ceil_div(s.n, kSumBlock))) * sizeof(double);
}

// The root mean square of n numbers; f(begin, end) sums the squares of some, and may write them.
template <class F>
double root_mean_square(int64_t n, Crew threads, double* partial, const F& f) {
  parallel_blocks(threads, n, kSumBlock,
                  [&](int64_t begin, int64_t end) { partial[begin / kSumBlock] = f(begin, end); });
  double total = 0;
  for (int64_t b = 0; b < ceil_div(n, kSumBlock); ++b) total += partial[b];
  return n == 0 ? 0 : sqrt(total / static_cast<double>(n));
}

// The larger one; NaN stays.
template <class T>
T at_least(T least, T value) {
  return value < least ? least : value;
}

// Renews the means of squares by rows and by columns.
template <class T>
void renew_factors(const FactoredSpec& s, const T* gradient, double beta, double epsilon, T* row, T* column,
                   Crew threads) {
  const auto square = [=](T g) { return static_cast<double>(g) * static_cast<double>(g) + epsilon; };
  const auto blend = [=](T old, double sum, int64_t terms) {
    return static_cast<T>(beta * static_cast<double>(old) + (1 - beta) * (sum / static_cast<double>(terms)));
  };
  parallel_for(threads, s.outer * s.rows, [&](int64_t r) {
    const T* g = gradient + r * s.columns;
    row[r] = blend(row[r], sum_of(s.columns, [&](int64_t i) { return square(g[i]); }), s.columns);
  });
  const int64_t tiles = ceil_div(s.columns, kTile);
  parallel_for(threads, s.outer * tiles, [&](int64_t tile) {
    const int64_t o = tile / tiles, first = tile % tiles * kTile, count = min_of(kTile, s.columns - first);
    const T* g = gradient + o * s.rows * s.columns + first;
    double sums[kTile] = {};
    for (int64_t r = 0; r < s.rows; ++r) {
      for (int64_t i = 0; i < count; ++i) sums[i] += square(g[r * s.columns + i]);
    }
    T* c = column + o * s.columns + first;
    for (int64_t i = 0; i < count; ++i) c[i] = blend(c[i], sums[i], s.rows);
  });
}

template <class T>
void adafactor_update(const FactoredSpec& s, const T* gradient, const double* hyper, T* w, T* row, T* column,
                      T* velocity, const Context& context) {
  if (hyper[kHolds] != 0) return;
  const double beta = hyper[1], epsilon = hyper[2];
  double* partial = static_cast<double*>(context.workspace);
  const Crew threads = threads_for(s.n, context.threads, kUpdateNs);
  const T keep = static_cast<T>(hyper[5]);
  const double of_w = root_mean_square(s.n, threads, partial, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) w[i] -= w[i] * keep;
    return sum_of(end - begin, [&](int64_t i) {
      const auto v = static_cast<double>(w[begin + i]);
      return v * v;
    });
  });
  constexpr T kLeast = std::numeric_limits<T>::min();
  if (s.factored()) {
    renew_factors(s, gradient, beta, epsilon, row, column, threads);
    parallel_for(threads, s.outer * s.rows, [&](int64_t r) {
      const T* rows = row + r / s.rows * s.rows;
      const double mean = sum_of(s.rows, [&](int64_t i) { return static_cast<double>(rows[i]); }) /
                          static_cast<double>(s.rows);
      const T share = static_cast<T>(static_cast<double>(row[r]) / mean);
      const T* c = column + r / s.rows * s.columns;
      T* v = velocity + r * s.columns;
      for (int64_t i = 0; i < s.columns; ++i) v[i] = at_least(kLeast, share * c[i]);
    });
  } else {
    for_vectors(s, context, Reads{gradient, velocity}, [&](int64_t at, int64_t count) {
      const Vec<T> g = load_up_to(gradient + at, count), old = load_up_to(velocity + at, count);
      const Vec<T> mean = constant<T>(beta) * old + constant<T>(1 - beta) * (g * g + constant<T>(epsilon));
      store_up_to(velocity + at, mean, count);
    });
  }
  const double of_u = root_mean_square(s.n, threads, partial, [&](int64_t begin, int64_t end) {
    return sum_of(end - begin, [&](int64_t i) {
      const auto g = static_cast<double>(gradient[begin + i]);
      return g * g / static_cast<double>(velocity[begin + i]);
    });
  });
  const double alpha = fmax(hyper[3], of_w) * hyper[0];
  const Vec<T> rate = constant<T>(alpha / fmax(1, of_u / hyper[4]));
  for_vectors(s, context, Reads{gradient, velocity, w}, [=](int64_t at, int64_t count) {
    const Vec<T> u = load_up_to(gradient + at, count) / square_root<T>(load_up_to(velocity + at, count));
    store_up_to(w + at, load_up_to(w + at, count) - rate * u, count);
  });
}

}  // namespace

void add_adafactor(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, adafactor_update);
}

}  // namespace fc::cpu::FC_ISA
