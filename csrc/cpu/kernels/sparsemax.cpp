// sparsemax.cpp — the point of the probability simplex that is next to a row, and its gradient.
//
// Math       y = max(z − tau, 0) with z = x − max x and tau such that Σ y = 1
//            dx = dy − mean of dy over the support where y > 0, else 0
// Shapes     x, y (rows, width)
// Blocking   tau without a sort: from tau = −1, below the true one, the mean of what lies above tau gives a
//            larger tau, until nothing more falls below it. Nothing that belongs to the support ever does,
//            and a few walks over a row that stays in L1 suffice.
// Threads    over blocks of rows; a row is one thread's
// Numerics   sums in blocks of 4096 in T, blocks in double: a row's bits depend on its width alone
// Workspace  none
// Edges      a row with NaN, with +inf, or of −inf alone gives NaN, as softmax does
// Source     Martins, Astudillo 2016, arXiv 1602.02068, eq. 2 and proposition 2; Michelot 1986 for the search
#include "core/norm_spec.h"
#include "cpu/kernels/row_exp.h"
#include "cpu/kernels/table.h"
#include "cpu/kernels/work.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {
namespace {

constexpr double kNs = 1.2;  // per element

template <class F>
void for_each_row(const NormSpec& s, const Context& context, const F& f) {
  const Crew threads = threads_for(s.rows * s.width, context.threads, kNs);
  parallel_blocks(threads, s.rows, rows_per_block(s.width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) f(row * s.width);
  });
}

// What lies above a threshold. NaN lies nowhere, and makes the total NaN.
template <class T>
struct Above {
  double count, total;

  Above(const T* x, int64_t width, T max, T tau) {
    const auto shifted = [&](int64_t i, int64_t n) { return load_up_to(x + i, n) - broadcast(max); };
    count = row_sum<T>(width, [&](int64_t i, int64_t n) {
      return shifted(i, n) > broadcast(tau) ? broadcast(T(1)) : zero<T>();
    });
    total = row_sum<T>(width, [&](int64_t i, int64_t n) {
      const Vec<T> z = shifted(i, n), below = z == z ? zero<T>() : z;
      return z > broadcast(tau) ? z : below;
    });
  }
};

template <class T>
T threshold(const T* x, int64_t width, T max) {
  T tau = -1;
  double size = static_cast<double>(width) + 1;
  for (Above<T> above(x, width, max, tau); above.count < size; above = Above<T>(x, width, max, tau)) {
    tau = static_cast<T>((above.total - 1) / above.count);
    if (tau != tau) break;
    size = above.count;
  }
  return tau;
}

template <class T>
void sparsemax_forward(const NormSpec& s, const T* x, T* y, const Context& context) {
  for_each_row(s, context, [&](int64_t at) {
    const T max = row_max(x + at, s.width), tau = threshold(x + at, s.width, max);
    const Vec<T> rest = broadcast(tau == tau ? T(0) : tau);
    for_each_vector<T>(s.width, [&](int64_t i, int64_t count) {
      const Vec<T> z = load_up_to(x + at + i, count) - broadcast(max);
      store_up_to(y + at + i, z > broadcast(tau) ? z - broadcast(tau) : rest, count);
    });
  });
}

template <class T>
void sparsemax_backward(const NormSpec& s, const T* dy, const T* y, T* dx, const Context& context) {
  for_each_row(s, context, [&](int64_t at) {
    const auto over_support = [&](const auto& f) {
      return row_sum<T>(s.width, [&](int64_t i, int64_t count) {
        return load_up_to(y + at + i, count) > zero<T>() ? f(i, count) : zero<T>();
      });
    };
    const double size = over_support([](int64_t, int64_t) { return broadcast(T(1)); });
    const double total =
        over_support([&](int64_t i, int64_t count) { return load_up_to(dy + at + i, count); });
    const Vec<T> mean = broadcast(static_cast<T>(total / size));
    for_each_vector<T>(s.width, [&](int64_t i, int64_t count) {
      const Vec<T> v = load_up_to(y + at + i, count), outside = v == v ? zero<T>() : v;
      store_up_to(dx + at + i, v > zero<T>() ? load_up_to(dy + at + i, count) - mean : outside, count);
    });
  });
}

}  // namespace

void add_sparsemax(KernelTable& table) {
  FC_ADD(table, sparsemax_forward);
  FC_ADD(table, sparsemax_backward);
}

}  // namespace fc::cpu::FC_ISA
