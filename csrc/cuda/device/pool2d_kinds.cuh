// pool2d_kinds.cuh — what is kept of a window's cells, channel by channel: an extreme and who won, or a sum.
//
// Kind      State state(first tap);  add(State&, items, inside, tap);  merge(State&, other);
//           finish(State, where, divisor)
#pragma once

#include "cuda/device/items.cuh"

namespace fc::cuda {

// Maximum, or minimum as the maximum of -x (sign = -1), and which tap won, r * S + s. Either pointer may be null.
template <class T, int kWide, class Index>
struct Extreme {
  struct State {
    float best[kWide];
    Index winner[kWide];
  };
  T* y;
  Index* index;
  float sign = 1.0f;

  __device__ __forceinline__ State state(unsigned first_tap) const {
    State s;
#pragma unroll
    for (int j = 0; j < kWide; ++j) {
      s.best[j] = -INFINITY;  // beaten by all but itself: then the first cell has won
      s.winner[j] = static_cast<Index>(first_tap);
    }
    return s;
  }
  // NaN first, then the larger, then the one that came first. What is not inside beats nothing.
  __device__ __forceinline__ void add(State& s, const Items<T, kWide>& items, bool inside,
                                      unsigned tap) const {
#pragma unroll
    for (int j = 0; j < kWide; ++j) {
      const float v = sign * widen(items.v[j]), best = s.best[j];
      const bool better = inside && !(v <= best) && best == best;
      s.best[j] = better ? v : best;
      s.winner[j] = better ? static_cast<Index>(tap) : s.winner[j];
    }
  }
  // What other taps found, in any order: of equals the first tap wins.
  __device__ __forceinline__ void merge(State& s, const State& other) const {
#pragma unroll
    for (int j = 0; j < kWide; ++j) {
      const float v = other.best[j], best = s.best[j];
      const bool equal = v == best || (v != v && best != best);
      const bool better = (!(v <= best) && best == best) || (equal && other.winner[j] < s.winner[j]);
      s.best[j] = better ? v : best;
      s.winner[j] = better ? other.winner[j] : s.winner[j];
    }
  }
  __device__ __forceinline__ void finish(const State& s, int64_t at, int) const {
    if (y != nullptr) {
      Items<T, kWide> result;
#pragma unroll
      for (int j = 0; j < kWide; ++j) result.v[j] = Narrow<T>::from(sign * s.best[j]);
      store_items(y + at, result);
    }
    if (index != nullptr) {
      constexpr int kStore = kWide * sizeof(Index) > 16 ? 16 / sizeof(Index) : kWide;
#pragma unroll
      for (int j = 0; j < kWide; j += kStore) {
        Items<Index, kStore> won;
#pragma unroll
        for (int i = 0; i < kStore; ++i) won.v[i] = s.winner[j + i];
        store_items(index + at + j, won);
      }
    }
  }
};

// sum / count, rounded once (Markstein, IBM Journal of Research and Development 34, 1990): a division per
// count instead of one per sum.
struct Mean {
  float count, inverse;
  __device__ __forceinline__ explicit Mean(int n)
      : count(static_cast<float>(n)), inverse(1.0f / static_cast<float>(n)) {}
  __device__ __forceinline__ float of(float sum) const {
    const float near = sum * inverse, rest = fmaf(-near, count, sum);
    return rest == rest ? fmaf(rest, inverse, near) : near;  // of infinity there is no rest
  }
};

template <class T, int kWide>
struct Total {
  struct State {
    float sum[kWide];
  };
  T* y;
  bool average;

  __device__ __forceinline__ State state(unsigned) const { return {}; }
  __device__ __forceinline__ void add(State& s, const Items<T, kWide>& items, bool inside, unsigned) const {
#pragma unroll
    for (int j = 0; j < kWide; ++j) s.sum[j] += inside ? widen(items.v[j]) : 0.0f;
  }
  __device__ __forceinline__ void merge(State& s, const State& other) const {
#pragma unroll
    for (int j = 0; j < kWide; ++j) s.sum[j] += other.sum[j];
  }
  __device__ __forceinline__ void finish(const State& s, int64_t at, int divisor) const {
    Items<T, kWide> result;
    const Mean mean(divisor);
#pragma unroll
    for (int j = 0; j < kWide; ++j) result.v[j] = Narrow<T>::from(average ? mean.of(s.sum[j]) : s.sum[j]);
    store_items(y + at, result);
  }
};

}  // namespace fc::cuda
