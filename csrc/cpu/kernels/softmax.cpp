// softmax.cpp — softmax and log-softmax over rows.
//
// Math       y = exp(x - max) / Σ exp(x - max);  dx = y (dy - Σ dy y)
//            y = x - max - log Σ exp(x - max);   dx = dy - exp(y) Σ dy
// Shapes     x, y (rows, width)
// Threads    over blocks of rows; a row is one thread's
// Numerics   sums run over lanes in a fixed order: a row's bits depend on its width alone
// Edges      a row with NaN, with +inf, or of -inf alone gives NaN, as the formula does
#include <math.h>

#include "core/norm_spec.h"
#include "cpu/kernels/table.h"
#include "cpu/kernels/work.h"
#include "cpu/parallel.h"
#include "cpu/simd/math.h"

namespace fc::cpu::FC_ISA {
namespace {

constexpr double kNs = 0.6;  // per element

// The largest of a row without NaN; a NaN shows up in the sum whatever this returns.
template <class T>
T row_max(const T* x, int64_t width) {
  T best = x[0];
  int64_t i = 0;
  if (width >= kLanes<T>) {
    Vec<T> lanes = load(x);
    for (i = kLanes<T>; i + kLanes<T> <= width; i += kLanes<T>) lanes = max_or_second<T>(load(x + i), lanes);
    for (int64_t lane = 0; lane < kLanes<T>; ++lane) best = lanes[lane] > best ? lanes[lane] : best;
  }
  for (; i < width; ++i) best = x[i] > best ? x[i] : best;
  return best;
}

// Σ f(i, count) over a row, where f gives vectors whose lanes beyond count are zero.
template <class T, class F>
T row_sum(int64_t width, const F& f) {
  Vec<T> total = zero<T>();
  for_each_vector<T>(width, [&](int64_t i, int64_t count) { total += f(i, count); });
  return sum<T>(total);
}

// v with the lanes from count on set to zero.
template <class T>
FC_INLINE Vec<T> first_lanes(Vec<T> v, int64_t count) {
  if (count == kLanes<T>) return v;
  T lanes[kLanes<T>];
  store(lanes, v);
  for (int64_t i = count; i < kLanes<T>; ++i) lanes[i] = 0;
  return load(lanes);
}

template <class T, class F>
void for_each_row(const NormSpec& s, const Context& context, const F& f) {
  constexpr int64_t kCells = 1 << 13;
  const int64_t rows = s.width >= kCells ? 1 : kCells / s.width;
  const int threads = threads_for(s.rows * s.width, context.threads, kNs);
  parallel_blocks(threads, s.rows, rows, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) f(row * s.width);
  });
}

template <class T>
void softmax_forward(const NormSpec& s, const T* x, T* y, const Context& context) {
  for_each_row<T>(s, context, [&](int64_t at) {
    const Vec<T> max = broadcast(row_max(x + at, s.width));
    const T total = row_sum<T>(s.width, [&](int64_t i, int64_t count) {
      const Vec<T> e = exp<T>(load_up_to(x + at + i, count) - max);
      store_up_to(y + at + i, e, count);
      return first_lanes<T>(e, count);
    });
    for_each_vector<T>(s.width, [&](int64_t i, int64_t count) {
      store_up_to(y + at + i, load_up_to(y + at + i, count) / broadcast(total), count);
    });
  });
}

template <class T>
void softmax_backward(const NormSpec& s, const T* dy, const T* y, T* dx, const Context& context) {
  for_each_row<T>(s, context, [&](int64_t at) {
    const T total = row_sum<T>(s.width, [&](int64_t i, int64_t count) {
      return load_up_to(dy + at + i, count) * load_up_to(y + at + i, count);
    });
    for_each_vector<T>(s.width, [&](int64_t i, int64_t count) {
      const Vec<T> centred = load_up_to(dy + at + i, count) - broadcast(total);
      store_up_to(dx + at + i, load_up_to(y + at + i, count) * centred, count);
    });
  });
}

template <class T>
void log_softmax_forward(const NormSpec& s, const T* x, T* y, const Context& context) {
  for_each_row<T>(s, context, [&](int64_t at) {
    const Vec<T> max = broadcast(row_max(x + at, s.width));
    const T total = row_sum<T>(s.width, [&](int64_t i, int64_t count) {
      return first_lanes<T>(exp<T>(load_up_to(x + at + i, count) - max), count);
    });
    const Vec<T> log_total = broadcast(static_cast<T>(log(static_cast<double>(total))));
    for_each_vector<T>(s.width, [&](int64_t i, int64_t count) {
      store_up_to(y + at + i, load_up_to(x + at + i, count) - max - log_total, count);
    });
  });
}

template <class T>
void log_softmax_backward(const NormSpec& s, const T* dy, const T* y, T* dx, const Context& context) {
  for_each_row<T>(s, context, [&](int64_t at) {
    const T total =
        row_sum<T>(s.width, [&](int64_t i, int64_t count) { return load_up_to(dy + at + i, count); });
    for_each_vector<T>(s.width, [&](int64_t i, int64_t count) {
      const Vec<T> p = exp<T>(load_up_to(y + at + i, count));
      store_up_to(dx + at + i, load_up_to(dy + at + i, count) - p * broadcast(total), count);
    });
  });
}

}  // namespace

void add_softmax(KernelTable& table) {
  FC_ADD(table, softmax_forward);
  FC_ADD(table, softmax_backward);
  FC_ADD(table, log_softmax_forward);
  FC_ADD(table, log_softmax_backward);
}

}  // namespace fc::cpu::FC_ISA
