// prelu.cpp — leaky relu with a learned slope per trailing cell.
//
// Math       y = x > 0 ? x : alpha x;  dx = x > 0 ? dy : alpha dy;  dalpha = Σ_outer (x > 0 ? 0 : dy x)
// Shapes     x, y (outer, inner)  alpha (inner)
// Blocking   one pass; rows of few columns are folded to fill registers
// Threads    over blocks of rows, cut by shape alone; block sums of dalpha are added in ascending order
// Numerics   a block of dalpha is summed in T, blocks in double
// Workspace  a double per block and column
// Edges      a NaN in x shows up in y and dalpha
// Source     He et al. 2015, "Delving Deep into Rectifiers"
#include "core/elementwise_spec.h"
#include "cpu/kernels/column_sums.h"
#include "cpu/kernels/table.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
void prelu_forward(const PreluSpec& s, const T* x, const T* alpha, T* y, const Context& context) {
  T storage[kMaxFoldedWidth<T>];
  const T* slopes = folded_columns(alpha, s.inner, folded<T>(s.outer, s.inner), storage);
  const Crew threads = threads_for(s.outer * s.inner, context.threads);
  for_each_folded<T>(s.outer, s.inner, threads, [=](int64_t at, int64_t c, int64_t count) {
    const Vec<T> v = load_up_to(x + at, count);
    store_up_to(y + at, v > zero<T>() ? v : load_up_to(slopes + c, count) * v, count);
  });
}

template <class T>
size_t prelu_backward_workspace(const PreluSpec& s, int) {
  return static_cast<size_t>(folded_sums_size<T>(s.outer, s.inner, 1)) * sizeof(double);
}

template <class T>
void prelu_backward(const PreluSpec& s, const T* dy, const T* x, const T* alpha, T* dx, T* dalpha,
                    const Context& context) {
  T storage[kMaxFoldedWidth<T>];
  const T* slopes = folded_columns(alpha, s.inner, folded<T>(s.outer, s.inner), storage);
  double* sums = static_cast<double*>(context.workspace);
  const Crew threads = threads_for(s.outer * s.inner, context.threads);
  const auto add = [&](int64_t at, int64_t c, int64_t count, Vec<T>* sum) {
    const Vec<T> g = load_up_to(dy + at, count), v = load_up_to(x + at, count);
    store_up_to(dx + at, v > zero<T>() ? g : load_up_to(slopes + c, count) * g, count);
    sum[0] += v > zero<T>() ? zero<T>() : g * v;
  };
  sum_folded_columns<T, 1>(s.outer, s.inner, threads, sums, add);
  for (int64_t c = 0; c < s.inner; ++c) dalpha[c] = static_cast<T>(sums[c]);
}

}  // namespace

void add_prelu(KernelTable& table) {
  FC_ADD(table, prelu_forward);
  FC_ADD_WITH_WORKSPACE(table, prelu_backward);
}

}  // namespace fc::cpu::FC_ISA
