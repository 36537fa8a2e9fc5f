// update.cuh — applies a rule to every weight with its gradient and state, in one pass.
//
// Grid/Block   a thread has eight elements of every array, in packs of 16 bytes that lie 256 packs apart
// Registers    all packs of a thread are on their way while its block prepares the rule's coefficients
// Edges        the last pack, and arrays that are not 16-byte aligned, are moved element by element; a
//              refused step, and one that only gathers gradients, writes nothing
// Numerics     state that has decayed below settled()'s limit is 0, and so is the square of a gradient in
//              squared()
#pragma once

#include "cuda/device/rounded.cuh"
#include "cuda/device/storage.cuh"

namespace fc::cuda {

inline constexpr int kUpdateThreads = 256;
inline constexpr int kHolds = 7;  // of hyper: not 0 in a step that only gathers gradients

template <class T>
inline constexpr int kUpdatePacks = 8 / Pack<T>::kSize;

__device__ __forceinline__ Rounded rounded(double coefficient) {
  return static_cast<float>(coefficient);
}

// State, with 0 for what is below the smallest normal number divided by the rounding unit: then its products
// with coefficients down to that unit, such as 1 - beta, are normal numbers or 0. NaN stays.
__device__ __forceinline__ Rounded settled(Rounded state) {
  return fabsf(state.value) < 0x1p-103f ? 0.0f : state.value;
}

// g * g, with 0 for what would be below settled()'s limit.
__device__ __forceinline__ Rounded squared(Rounded g) {
  const Rounded kept = fabsf(g.value) < 0x1p-52f ? 0.0f : g.value;
  return kept * kept;
}

template <class T, int kStates>
struct UpdateArrays {
  const T* gradient;
  T* state[kStates];  // the weight first
};

// rule.prepare(hyper) makes coefficients; rule(g, s) updates the state s of one weight.
template <class Rule, class T, int kStates>
__global__ void __launch_bounds__(kUpdateThreads)
    update_kernel(UpdateArrays<T, kStates> arrays, const double* hyper, int64_t n, bool packed,
                  const int32_t* proceed) {
  constexpr int kSize = Pack<T>::kSize, kPacks = kUpdatePacks<T>;
  FC_SHARED(Rule, shared);
  FC_SHARED(bool, refused);
  const int64_t first = (int64_t{blockIdx.x} * kUpdateThreads * kPacks + threadIdx.x) * kSize;
  constexpr int64_t kStep = int64_t{kUpdateThreads} * kSize;
  float g[kPacks][kSize], s[kPacks][kStates][kSize];
#pragma unroll
  for (int k = 0; k < kPacks; ++k) {
    load_present(arrays.gradient, first + k * kStep, n, packed, g[k]);
#pragma unroll
    for (int i = 0; i < kStates; ++i) load_present(arrays.state[i], first + k * kStep, n, packed, s[k][i]);
  }
  if (threadIdx.x == 0) {
    refused = (proceed != nullptr && *proceed == 0) || hyper[kHolds] != 0;
    shared.prepare(hyper);
  }
  __syncthreads();
  if (refused) return;
  const Rule rule = shared;
#pragma unroll
  for (int k = 0; k < kPacks; ++k) {
#pragma unroll
    for (int j = 0; j < kSize; ++j) {
      Rounded state[kStates];
#pragma unroll
      for (int i = 0; i < kStates; ++i) state[i] = s[k][i][j];
      rule(g[k][j], state);
#pragma unroll
      for (int i = 0; i < kStates; ++i) s[k][i][j] = state[i].value;
    }
#pragma unroll
    for (int i = 0; i < kStates; ++i) store_present(arrays.state[i], first + k * kStep, n, packed, s[k][i]);
  }
}

template <class Rule, class T, class... State>
void update(const Context& context, int64_t n, const T* gradient, const double* hyper, State*... state) {
  if (n == 0) return;
  const int64_t packs = ceil_div(n, Pack<T>::kSize);
  launch(update_kernel<Rule, T, sizeof...(State)>,
         dim3(static_cast<unsigned>(ceil_div(packs, kUpdateThreads * kUpdatePacks<T>))), dim3(kUpdateThreads),
         0, context, UpdateArrays<T, sizeof...(State)>{gradient, {state...}}, hyper, n,
         aligned_for_packs(gradient, state...), context.proceed);
}

}  // namespace fc::cuda
