// constraint.cpp — moves weights to where they are allowed to be, in place.
//
// Math       norm_constraint  norm[o, i] = √Σ_e w[o, e, i]²
//                             w *= (rate·min(max(norm, least), most) + (1−rate)·norm)/(1e-7 + norm)
//            non_negative     w = max(w, 0)
// Shapes     w (outer, extent, inner) of norm_constraint, any of non_negative
// Threads    over tiles of 64 neighbouring i of an o, one writer each; every norm is summed by one thread, in
//            ascending order. non_negative: over elements
// Numerics   norms and factors in double, factors rounded once
// Workspace  none
// Edges      NaN in a column makes all of it NaN; max(NaN, 0) is NaN
// Source     Keras 3, keras/src/constraints/constraints.py
#include <math.h>

#include "core/penalty_spec.h"
#include "cpu/kernels/table.h"
#include "cpu/kernels/work.h"
#include "cpu/parallel.h"
#include "cpu/simd/math.h"

namespace fc::cpu::FC_ISA {
namespace {

constexpr int64_t kTile = 64;
constexpr double kNs = 1;          // per element
constexpr double kEpsilon = 1e-7;  // keras.config.epsilon()

template <class T>
void norm_constraint(const NormConstraintSpec& s, T* w, const Context& context) {
  const int64_t tiles = ceil_div(s.inner, kTile);
  const double least = s.least, most = s.most, rate = s.rate;
  parallel_for(threads_for(s.outer * s.extent * s.inner, context.threads, kNs), s.outer * tiles,
               [&](int64_t tile) {
                 const int64_t first = tile % tiles * kTile, count = min_of(kTile, s.inner - first);
                 T* begin = w + tile / tiles * s.extent * s.inner + first;
                 double sums[kTile] = {};
                 for (int64_t e = 0; e < s.extent; ++e) {
                   const T* row = begin + e * s.inner;
                   for (int64_t i = 0; i < count; ++i) {
                     sums[i] += static_cast<double>(row[i]) * static_cast<double>(row[i]);
                   }
                 }
                 T factors[kTile];
                 for (int64_t i = 0; i < count; ++i) {
                   const double norm = sqrt(sums[i]);
                   const double wanted = rate * fmin(fmax(norm, least), most) + (1 - rate) * norm;
                   factors[i] = static_cast<T>(wanted / (kEpsilon + norm));
                 }
                 for (int64_t e = 0; e < s.extent; ++e) {
                   T* row = begin + e * s.inner;
                   for (int64_t i = 0; i < count; ++i) row[i] *= factors[i];
                 }
               });
}

template <class T>
void non_negative(const VectorSpec& s, T* w, const Context& context) {
  parallel_blocks(threads_for(s.n, context.threads), s.n, kBlockElements, [&](int64_t begin, int64_t end) {
    for_each_vector<T>(end - begin, [&](int64_t i, int64_t count) {
      store_up_to(w + begin + i, max_or_second<T>(zero<T>(), load_up_to(w + begin + i, count)), count);
    });
  });
}

}  // namespace

void add_constraint(KernelTable& table) {
  FC_ADD(table, norm_constraint);
  FC_ADD(table, non_negative);
}

}  // namespace fc::cpu::FC_ISA
