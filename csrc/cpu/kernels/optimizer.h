// optimizer.h — what all update rules share: the loop over weights, coefficients, state that vanishes.
//
// State that has decayed below settled()'s limit is 0, and so is the square of a gradient in squared(): where
// gradients vanish, products would become subnormal, and those made a step 7 times slower.
#pragma once

#include <limits>

#include "core/context.h"
#include "core/elementwise_spec.h"
#include "cpu/kernels/work.h"
#include "cpu/parallel.h"
#include "cpu/simd/math.h"
#include "cpu/simd/stream.h"

namespace fc::cpu::FC_ISA {

inline constexpr double kUpdateNs = 0.3;  // per element
inline constexpr int kHolds = 7;          // of hyper: not 0 in a step that only gathers gradients

// The arrays of which a rule reads every element.
template <class T, int N>
struct Reads {
  const T* array[N];
};
template <class T, class... More>
Reads(const T*, More...) -> Reads<T, 1 + sizeof...(More)>;

// Calls f(at, count) for every register of [0, n). What it reads is fetched early where it is much. f holds its
// coefficients by value: a block's copy of them stays in registers, where no store can reach it.
template <class T, int N, class F>
void for_vectors(const VectorSpec& spec, const Context& context, const Reads<T, N>& reads, const F& f) {
  const Crew threads = threads_for(spec.n, context.threads, kUpdateNs);
  const bool long_way = outgrows_l2<T>(N * spec.n);
  parallel_blocks(threads, spec.n, kBlockElements, [&](int64_t begin, int64_t end) {
    const F own = f;
    const Reads<T, N> ahead = reads;
    const bool fetches = long_way;
    for_each_vector<T>(end - begin, [&](int64_t i, int64_t count) {
      if (fetches) {
        for (const T* array : ahead.array) prefetch(array + begin + i);
      }
      own(begin + i, count);
    });
  });
}

// The same for a rule with these numbers, unless the step only gathers gradients.
template <class T, int N, class F>
void update_vectors(const VectorSpec& spec, const double* hyper, const Context& context,
                    const Reads<T, N>& reads, const F& f) {
  if (hyper[kHolds] == 0) for_vectors(spec, context, reads, f);
}

template <class T>
FC_INLINE Vec<T> constant(double value) {
  return broadcast(static_cast<T>(value));
}

// State, with 0 for what is below the smallest normal number divided by the rounding unit: then its products
// with coefficients down to that unit, such as 1 - beta, are normal numbers or 0. NaN stays.
template <class T>
FC_INLINE Vec<T> settled(Vec<T> state) {
  constexpr T kLeast = std::numeric_limits<T>::min() / std::numeric_limits<T>::epsilon();
  return magnitude<T>(state) < broadcast(kLeast) ? zero<T>() : state;
}

// g * g, with 0 for what would be below settled()'s limit.
template <class T>
FC_INLINE Vec<T> squared(Vec<T> g) {
  constexpr T kRoot = sizeof(T) == 4 ? static_cast<T>(0x1p-52) : static_cast<T>(0x1p-485);
  const Vec<T> kept = magnitude<T>(g) < broadcast(kRoot) ? zero<T>() : g;
  return kept * kept;
}

}  // namespace fc::cpu::FC_ISA
