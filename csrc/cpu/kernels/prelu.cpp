// prelu.cpp — leaky relu with a learned slope per trailing cell.
//
// Math       y = x > 0 ? x : alpha x;  dx = x > 0 ? dy : alpha dy;  dalpha = Σ_outer (x > 0 ? 0 : dy x)
// Shapes     x, y (outer, inner)  alpha (inner)
// Threads    y and dx over rows; dalpha over columns, each summed by one thread from the first row down
// Numerics   dalpha is accumulated in double
// Edges      a NaN in x shows up in y and dalpha
// Source     He et al. 2015, "Delving Deep into Rectifiers"
#include "core/elementwise_spec.h"
#include "cpu/kernels/table.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
void prelu_forward(const PreluSpec& s, const T* x, const T* alpha, T* y, const Context& context) {
  parallel_for(context.threads, s.outer, [&](int64_t row) {
    const T* xr = x + row * s.inner;
    T* yr = y + row * s.inner;
    for (int64_t i = 0; i < s.inner; ++i) yr[i] = xr[i] > 0 ? xr[i] : alpha[i] * xr[i];
  });
}

template <class T>
void prelu_backward(const PreluSpec& s, const T* dy, const T* x, const T* alpha, T* dx, T* dalpha,
                    const Context& context) {
  constexpr int64_t kColumns = 64;
  parallel_for(context.threads, s.outer, [&](int64_t row) {
    const int64_t base = row * s.inner;
    for (int64_t i = 0; i < s.inner; ++i)
      dx[base + i] = x[base + i] > 0 ? dy[base + i] : alpha[i] * dy[base + i];
  });
  parallel_blocks(context.threads, s.inner, kColumns, [&](int64_t begin, int64_t end) {
    double sums[kColumns] = {};
    for (int64_t row = 0; row < s.outer; ++row) {
      const int64_t base = row * s.inner;
      for (int64_t i = begin; i < end; ++i) {
        const T v = x[base + i];
        sums[i - begin] += v > 0 ? 0.0 : static_cast<double>(dy[base + i]) * v;
      }
    }
    for (int64_t i = begin; i < end; ++i) dalpha[i] = static_cast<T>(sums[i - begin]);
  });
}

}  // namespace

void add_prelu(KernelTable& table) {
  FC_ADD(table, prelu_forward);
  FC_ADD(table, prelu_backward);
}

}  // namespace fc::cpu::FC_ISA
