// accumulate.cpp — gradients of several steps, and of several tensors: their mean, and their common norm.
//
// Math       gradient_accumulate  hyper = {k, gathers}: where it gathers, sum = sum + g;
//                                 else g = (g + sum)/k, sum = 0
//            gradient_shrink      g = g·limit/√total where √total > limit
// Shapes     gradient, sum (n)   total (1)   hyper (8), limit (1) float64
// Threads    over blocks of 16384 elements, one writer each; one thread for small n
// Numerics   in T; the factor of gradient_shrink in double, rounded once
// Workspace  none
// Edges      a NaN total makes every gradient NaN, an infinite one zero (inf·0 is NaN)
// Source     Keras 3, keras/src/optimizers/base_optimizer.py (apply, clip_by_global_norm)
#include <math.h>

#include "cpu/kernels/optimizer.h"
#include "cpu/kernels/table.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
void gradient_accumulate(const VectorSpec& spec, const double* hyper, T* gradient, T* sum,
                         const Context& context) {
  const Vec<T> steps = constant<T>(hyper[0]);
  const bool gathers = hyper[1] != 0;
  for_vectors(spec, context, Reads{gradient, sum}, [=](int64_t at, int64_t count) {
    const Vec<T> total = load_up_to(gradient + at, count) + load_up_to(sum + at, count);
    store_up_to(sum + at, gathers ? total : zero<T>(), count);
    if (!gathers) store_up_to(gradient + at, total / steps, count);
  });
}

template <class T>
void gradient_shrink(const VectorSpec& spec, const double* limit, const T* total, T* gradient,
                     const Context& context) {
  const double norm = sqrt(static_cast<double>(*total));
  if (norm <= *limit) return;
  const Vec<T> scale = constant<T>(*limit / norm);
  for_vectors(spec, context, Reads{gradient}, [=](int64_t at, int64_t count) {
    store_up_to(gradient + at, load_up_to(gradient + at, count) * scale, count);
  });
}

}  // namespace

void add_accumulate(KernelTable& table) {
  FC_ADD(table, gradient_accumulate);
  FC_ADD(table, gradient_shrink);
}

}  // namespace fc::cpu::FC_ISA
