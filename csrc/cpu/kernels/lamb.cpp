// lamb.cpp — one update of a weight by its gradient, as long as the weight is: Keras 3's Lamb.
//
// Math       w = w − w·weight_decay·η      m = m + (g − m)(1−β₁)      v = v + (g² − v)(1−β₂)
//            u = m/(1−β₁ᵗ)/(√(v/(1−β₂ᵗ)) + ε)      w = w − η·‖w‖/‖u‖·u; the ratio is 1 where a norm is 0
// Hyper      double[8]: {η, β₁, β₂, ε, weight_decay, t}, t = step, counted from 1; [7]: not 0 where the step
//            only gathers gradients, and updates nothing
// Shapes     everything else (n): one whole variable, whose norms count
// Blocking   two passes over the arrays: state and norms, then the weight; u is computed in both
// Threads    over blocks of 4096 elements; their sums are added in ascending order
// Numerics   coefficients in double, rounded once; norms: reduce.h. What vanishes becomes 0: optimizer.h
// Workspace  two doubles per block
// Source     You et al., 2020, Large batch optimization for deep learning; Keras 3,
// keras/src/optimizers/lamb.py
#include <math.h>

#include "cpu/kernels/optimizer.h"
#include "cpu/kernels/reduce.h"
#include "cpu/kernels/table.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
size_t lamb_update_workspace(const VectorSpec& spec, int) {
  return static_cast<size_t>(ceil_div(spec.n, kSumBlock)) * 2 * sizeof(double);
}

template <class T>
void lamb_update(const VectorSpec& spec, const T* gradient, const double* hyper, T* w, T* m, T* v,
                 const Context& context) {
  if (hyper[kHolds] != 0) return;
  const double step = hyper[5];
  const Vec<T> rest_1 = constant<T>(1 - hyper[1]), rest_2 = constant<T>(1 - hyper[2]);
  const Vec<T> bias_1 = constant<T>(1 - pow(hyper[1], step)), bias_2 = constant<T>(1 - pow(hyper[2], step));
  const Vec<T> epsilon = constant<T>(hyper[3]), decay = constant<T>(hyper[4] * hyper[0]);
  const auto direction = [=](Vec<T> first, Vec<T> second) {
    return first / bias_1 / (square_root<T>(second / bias_2) + epsilon);
  };
  double* partial = static_cast<double*>(context.workspace);
  const Crew threads = threads_for(spec.n, context.threads, kUpdateNs);
  parallel_blocks(threads, spec.n, kSumBlock, [&](int64_t begin, int64_t end) {
    double totals[2];
    sum_vectors<T, 2>(
        end - begin,
        [&](int64_t i, int64_t count, Vec<T>(&sums)[2]) {
          const int64_t at = begin + i;
          const Vec<T> g = load_up_to(gradient + at, count), given = load_up_to(w + at, count);
          const Vec<T> old_m = load_up_to(m + at, count), old_v = load_up_to(v + at, count);
          const Vec<T> first = settled<T>(old_m + (g - old_m) * rest_1);
          const Vec<T> second = settled<T>(old_v + (squared<T>(g) - old_v) * rest_2);
          const Vec<T> weight = given - given * decay, u = direction(first, second);
          store_up_to(m + at, first, count);
          store_up_to(v + at, second, count);
          store_up_to(w + at, weight, count);
          sums[0] += weight * weight;
          sums[1] += u * u;
        },
        totals);
    partial[begin / kSumBlock * 2] = totals[0];
    partial[begin / kSumBlock * 2 + 1] = totals[1];
  });
  double of_w = 0, of_u = 0;
  for (int64_t b = 0; b < ceil_div(spec.n, kSumBlock); ++b) {
    of_w += partial[b * 2];
    of_u += partial[b * 2 + 1];
  }
  const double ratio = of_w > 0 && of_u > 0 ? sqrt(of_w) / sqrt(of_u) : 1;
  const Vec<T> rate = constant<T>(ratio * hyper[0]);
  for_vectors(spec, context, Reads{m, v, w}, [=](int64_t at, int64_t count) {
    const Vec<T> u = direction(load_up_to(m + at, count), load_up_to(v + at, count));
    store_up_to(w + at, load_up_to(w + at, count) - rate * u, count);
  });
}

}  // namespace

void add_lamb(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, lamb_update);
}

}  // namespace fc::cpu::FC_ISA
