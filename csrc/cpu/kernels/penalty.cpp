// penalty.cpp — what regularizers add to the loss, and its gradient.
//
// Math       total[0] = Σ l1·|x| + l2·x²      dx = dtotal·(l1·sign(x) + 2·l2·x) + addend
// Shapes     x, addend, dx of any shape   total, dtotal (1)
// Threads    forward over blocks of 4096, whose sums are added in ascending order; backward over elements
// Numerics   sums in double, rounded once; coefficients in double, rounded once
// Workspace  forward: one double per block
// Edges      sign(0) is 0; NaN stays NaN
// Source     Keras 3, keras/src/regularizers/regularizers.py
#include <math.h>

#include "core/penalty_spec.h"
#include "cpu/kernels/reduce.h"
#include "cpu/kernels/table.h"
#include "cpu/parallel.h"
#include "cpu/simd/math.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
size_t penalty_forward_workspace(const PenaltySpec& s, int) {
  return static_cast<size_t>(ceil_div(s.n, kSumBlock)) * sizeof(double);
}

template <class T>
void penalty_forward(const PenaltySpec& s, const T* x, T* total, const Context& context) {
  double* partial = static_cast<double*>(context.workspace);
  const double l1 = s.l1, l2 = s.l2;
  parallel_blocks(threads_for(s.n, context.threads), s.n, kSumBlock, [&](int64_t begin, int64_t end) {
    partial[begin / kSumBlock] = sum_of(end - begin, [&](int64_t i) {
      const auto v = static_cast<double>(x[begin + i]);
      return l1 * fabs(v) + l2 * v * v;
    });
  });
  double sum = 0;
  for (int64_t b = 0; b < ceil_div(s.n, kSumBlock); ++b) sum += partial[b];
  total[0] = static_cast<T>(sum);
}

template <class T>
void penalty_backward(const PenaltySpec& s, const T* dtotal, const T* x, const T* addend, T* dx,
                      const Context& context) {
  const double slope = *dtotal;
  const Vec<T> l1 = broadcast(static_cast<T>(s.l1 * slope)), l2 = broadcast(static_cast<T>(2 * s.l2 * slope));
  parallel_blocks(threads_for(s.n, context.threads), s.n, kBlockElements, [&](int64_t begin, int64_t end) {
    for_each_vector<T>(end - begin, [&](int64_t i, int64_t count) {
      const Vec<T> v = load_up_to(x + begin + i, count);
      const Vec<T> g = (v > zero<T>() ? l1 : v < zero<T>() ? -l1 : zero<T>()) + l2 * v;
      const Vec<T> other = addend == nullptr ? zero<T>() : load_up_to(addend + begin + i, count);
      store_up_to(dx + begin + i, g + other, count);
    });
  });
}

}  // namespace

void add_penalty(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, penalty_forward);
  FC_ADD(table, penalty_backward);
}

}  // namespace fc::cpu::FC_ISA
