// sparsemax.cu — the point of the probability simplex that is next to a row, and its gradient.
//
// Math       y = max(z − tau, 0) with z = x − max x and tau such that Σ y = 1
//            dx = dy − mean of dy over the support where y > 0, else 0
// Shapes     x, y (rows, width)
// Grid/Block row_values.cuh: a warp a row; elements one by one, because the op is rare and its
//            code shall be short
// Numerics   float32; sums in an order that depends on the width alone
// Workspace  none
// Edges      a row with NaN, with +inf, or of −inf alone gives NaN, as softmax does
// Source     Martins, Astudillo 2016, arXiv 1602.02068, eq. 2 and proposition 2; Michelot 1986 for the search
//            of tau, which grows from −1 until nothing more falls below it
#include "core/norm_spec.h"
#include "cuda/device/row_values.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

using Layout = RowLayout<32, 0, 1>;

template <class T>
__global__ void __launch_bounds__(Layout::kThreads, Layout::kBlocks)
    forward_kernel(const T* x, T* y, int64_t rows, int64_t width) {
  const RowValues<T, Layout, 1> row(rows, width, x);
  float max = -INFINITY;
  row.each([&](const float (&v)[1], int64_t) { max = fmaxf(max, v[0]); });
  max = row_max<Layout>(max);
  float tau = -1, size = INFINITY;
  while (true) {  // all threads of a row see the same sums, and leave together
    float count = 0, total = 0;
    row.each([&](const float (&v)[1], int64_t) {
      const float z = v[0] - max;
      count += z > tau ? 1.0f : 0.0f;
      total += z > tau || z != z ? z : 0.0f;
    });
    count = row_sum<Layout>(count);
    total = row_sum<Layout>(total);
    if (!(count < size) || tau != tau) break;
    tau = (total - 1.0f) / count;
    size = count;
  }
  row.write(y, width, [&](const float (&v)[1], int64_t) {
    const float z = v[0] - max;
    return z > tau ? z - tau : tau == tau ? 0.0f : tau;
  });
}

template <class T>
__global__ void __launch_bounds__(Layout::kThreads, Layout::kBlocks)
    backward_kernel(const T* dy, const T* y, T* dx, int64_t rows, int64_t width) {
  const RowValues<T, Layout, 2> row(rows, width, dy, y);
  float count = 0, total = 0;
  row.each([&](const float (&v)[2], int64_t) {
    count += v[1] > 0 ? 1.0f : 0.0f;
    total += v[1] > 0 ? v[0] : 0.0f;
  });
  count = row_sum<Layout>(count);
  total = row_sum<Layout>(total);
  row.write(dx, width, [&](const float (&v)[2], int64_t) {
    return v[1] > 0 ? v[0] - total / count : v[1] == v[1] ? 0.0f : v[1];
  });
}

template <class T>
void sparsemax_forward(const NormSpec& s, const T* x, T* y, const Context& context) {
  launch_rows(forward_kernel<T>, Layout(), context, s.rows, x, y, s.rows, s.width);
}

template <class T>
void sparsemax_backward(const NormSpec& s, const T* dy, const T* y, T* dx, const Context& context) {
  launch_rows(backward_kernel<T>, Layout(), context, s.rows, dy, y, dx, s.rows, s.width);
}

}  // namespace

void add_sparsemax(KernelTable& table) {
  FC_ADD(table, sparsemax_forward);
  FC_ADD(table, sparsemax_backward);
}

}  // namespace fc::cuda
