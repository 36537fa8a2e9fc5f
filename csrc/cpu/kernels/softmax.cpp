// softmax.cpp — softmax and log-softmax over rows.
//
// Math       y = exp(x - max) / Σ exp(x - max);  dx = y (dy - Σ dy y)
//            y = x - max - log Σ exp(x - max);   dx = dy - exp(y) Σ dy
// Shapes     x, y (rows, width)
// Threads    over blocks of rows; a row is one thread's
// Numerics   sums in blocks of 4096 in T, blocks in double: a row's bits depend on its width alone
// Edges      a row with NaN, with +inf, or of -inf alone gives NaN, as the formula does
#include <math.h>

#include "core/norm_spec.h"
#include "cpu/kernels/row_exp.h"
#include "cpu/kernels/table.h"
#include "cpu/kernels/work.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {
namespace {

constexpr double kNs = 0.6;  // per element

template <class T, class F>
void for_each_row(const NormSpec& s, const Context& context, const F& f) {
  constexpr int64_t kCells = 1 << 13;
  const int64_t rows = s.width >= kCells ? 1 : kCells / s.width;
  const Crew threads = threads_for(s.rows * s.width, context.threads, kNs);
  parallel_blocks(threads, s.rows, rows, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) f(row * s.width);
  });
}

// A row that fits one register never leaves it.
template <class T>
FC_INLINE void short_softmax(const T* x, int64_t width, T* y) {
  const Vec<T> v = load_up_to(x, width);
  const T max = largest_lane<T>(first_lanes<T>(v, width, broadcast(x[0])));
  const Vec<T> e = first_lanes<T>(exp<T>(v - broadcast(max)), width, zero<T>());
  store_up_to(y, e / broadcast(sum_of_lanes<T>(e)), width);
}

template <class T>
void softmax_forward(const NormSpec& s, const T* x, T* y, const Context& context) {
  for_each_row<T>(s, context, [&](int64_t at) {
    if (s.width <= kLanes<T>) return short_softmax(x + at, s.width, y + at);
    const Vec<T> max = broadcast(row_max(x + at, s.width));
    const auto total = static_cast<T>(row_sum<T>(s.width, [&](int64_t i, int64_t count) {
      const Vec<T> e = exp<T>(load_up_to(x + at + i, count) - max);
      store_up_to(y + at + i, e, count);
      return e;
    }));
    for_each_vector<T>(s.width, [&](int64_t i, int64_t count) {
      store_up_to(y + at + i, load_up_to(y + at + i, count) / broadcast(total), count);
    });
  });
}

template <class T>
void softmax_backward(const NormSpec& s, const T* dy, const T* y, T* dx, const Context& context) {
  for_each_row<T>(s, context, [&](int64_t at) {
    const auto total = static_cast<T>(row_sum<T>(s.width, [&](int64_t i, int64_t count) {
      return load_up_to(dy + at + i, count) * load_up_to(y + at + i, count);
    }));
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
    const double total = row_sum<T>(
        s.width, [&](int64_t i, int64_t count) { return exp<T>(load_up_to(x + at + i, count) - max); });
    const Vec<T> log_total = broadcast(static_cast<T>(log(total)));
    for_each_vector<T>(s.width, [&](int64_t i, int64_t count) {
      store_up_to(y + at + i, load_up_to(x + at + i, count) - max - log_total, count);
    });
  });
}

template <class T>
void log_softmax_backward(const NormSpec& s, const T* dy, const T* y, T* dx, const Context& context) {
  for_each_row<T>(s, context, [&](int64_t at) {
    const auto total = static_cast<T>(
        row_sum<T>(s.width, [&](int64_t i, int64_t count) { return load_up_to(dy + at + i, count); }));
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
