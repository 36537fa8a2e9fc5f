// softmax.cu — softmax and log-softmax over rows.
//
// Math       y = exp(x - max) / Σ exp(x - max);  dx = y (dy - Σ dy y)
//            y = x - max - log Σ exp(x - max);   dx = dy - exp(y) Σ dy
// Shapes     x, y (rows, width)
// Grid/Block row_values.cuh: rows of up to 8192 elements (1024 where they are no packs) are read once;
//            longer ones twice (exponentials.cuh)
// Numerics   float32; sums in an order that depends on the width alone
// Workspace  none
// Edges      a row with NaN, with +inf, or of -inf alone gives NaN, as the formula does
#include "core/norm_spec.h"
#include "cuda/device/exponentials.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

template <class T, class Layout>
__global__ void __launch_bounds__(Layout::kThreads, Layout::kBlocks)
    forward_kernel(bool log, const T* x, T* y, int64_t rows, int64_t width) {
  const RowValues<T, Layout, 1> row(rows, width, x);
  const Exponentials e = exponentials<0>(row);
  const float log_total = e.log_total(), scale = 1.0f / e.total();
  row.write(y, width, [&](const float (&v)[1], int64_t) {
    return log ? (v[0] - e.largest) - log_total : e.of(v[0]) * scale;
  });
}

template <class T, class Layout>
__global__ void __launch_bounds__(Layout::kThreads, Layout::kBlocks)
    backward_kernel(bool log, const T* dy, const T* y, T* dx, int64_t rows, int64_t width) {
  const RowValues<T, Layout, 2> row(rows, width, dy, y);
  float total = 0;
  row.each([&](const float (&v)[2], int64_t) { total += log ? v[0] : v[0] * v[1]; });
  total = row_sum<Layout>(total);
  row.write(dx, width, [&](const float (&v)[2], int64_t) {
    return log ? v[0] - expf(v[1]) * total : v[1] * (v[0] - total);
  });
}

template <class T>
void forward(bool log, const NormSpec& s, const T* x, T* y, const Context& context) {
  with_row_layout<T>(s.width, aligned_for_packs(x, y), [&](auto layout) {
    launch_rows(forward_kernel<T, decltype(layout)>, layout, context, s.rows, log, x, y, s.rows, s.width);
  });
}

template <class T>
void backward(bool log, const NormSpec& s, const T* dy, const T* y, T* dx, const Context& context) {
  with_row_layout<T>(s.width, aligned_for_packs(dy, y, dx), [&](auto layout) {
    launch_rows(backward_kernel<T, decltype(layout)>, layout, context, s.rows, log, dy, y, dx, s.rows,
                s.width);
  });
}

template <class T>
void softmax_forward(const NormSpec& s, const T* x, T* y, const Context& context) {
  forward(false, s, x, y, context);
}
template <class T>
void softmax_backward(const NormSpec& s, const T* dy, const T* y, T* dx, const Context& context) {
  backward(false, s, dy, y, dx, context);
}
template <class T>
void log_softmax_forward(const NormSpec& s, const T* x, T* y, const Context& context) {
  forward(true, s, x, y, context);
}
template <class T>
void log_softmax_backward(const NormSpec& s, const T* dy, const T* y, T* dx, const Context& context) {
  backward(true, s, dy, y, dx, context);
}

}  // namespace

void add_softmax(KernelTable& table) {
  FC_ADD(table, softmax_forward);
  FC_ADD(table, softmax_backward);
  FC_ADD(table, log_softmax_forward);
  FC_ADD(table, log_softmax_backward);
}

}  // namespace fc::cuda
