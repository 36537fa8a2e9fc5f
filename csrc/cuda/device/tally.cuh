// tally.cuh — what a batch normalisation sums up of a product's results, gathered on their way to memory.
//
// Math       forward: mean and squared deviations of each column of y; backward_input: Σ dx and
//            Σ dx·(normalized − batch_mean); of results as they are stored, rounded
// Partials   partial[part][number][column]; a part is the rows of a tile
// Registers  of a thread: its numbers of V columns, always the same ones
// Shared     tally_floats(): a warp's numbers per column, once nobody reads the staged sums any more
// Numerics   float32: the 4 to 16 rows of a thread ascending, a tree of the lanes with the same columns, the
//            warps in order. column_moments.cuh and column_sums.cuh merge the parts in float64
// Source     Jung et al., Restructuring Batch Normalization to Accelerate CNN Training,
//            https://arxiv.org/abs/1807.01702
#pragma once

#include "cuda/device/igemm.cuh"
#include "cuda/device/moments.cuh"

namespace fc::cuda {

template <int V>
struct TallyMoments {
  static constexpr int kNumbers = 3;
  float number[kNumbers][V] = {};  // origins, offsets and squares of moments.cuh
  float count = 0;

  struct Beside {};  // what a result meets
  template <class T>
  __device__ __forceinline__ Beside beside(const Tally<T>&, int64_t, int64_t) const {
    return {};
  }
  __device__ __forceinline__ void add(const float (&v)[V], const Beside&) {
    TallyMoments one;
    one.count = 1;
#pragma unroll
    for (int i = 0; i < V; ++i) one.number[0][i] = v[i];
    merge(one);
  }
  __device__ __forceinline__ void merge(const TallyMoments& more) {
    if (more.count == 0) return;
    const float share = more.count / (count + more.count);
#pragma unroll
    for (int i = 0; i < V; ++i) {
      OffsetMoments own{count == 0 ? more.number[0][i] : number[0][i], number[1][i], number[2][i]};
      own.merge(count, {more.number[0][i], more.number[1][i], more.number[2][i]}, share);
      number[0][i] = own.origin, number[1][i] = own.offset, number[2][i] = own.squares;
    }
    count += more.count;
  }
};

template <int V>
struct TallySums {
  static constexpr int kNumbers = 2;
  float number[kNumbers][V] = {};  // Σ dx, Σ dx·(normalized − batch_mean)
  float count = 0;                 // which moments alone need

  struct Beside {
    float centred[V] = {};
  };
  template <class T>
  __device__ __forceinline__ Beside beside(const Tally<T>& tally, int64_t column, int64_t offset) const {
    Beside beside;
    if (tally.partial == nullptr) return beside;
    float mean[V];
    load_values(tally.normalized + offset, true, beside.centred);
    load_values(tally.batch_mean + column, true, mean);
#pragma unroll
    for (int i = 0; i < V; ++i) beside.centred[i] -= mean[i];
    return beside;
  }
  __device__ __forceinline__ void add(const float (&v)[V], const Beside& beside) {
#pragma unroll
    for (int i = 0; i < V; ++i) {
      number[0][i] += v[i];
      number[1][i] = fmaf(v[i], beside.centred[i], number[1][i]);
    }
  }
  __device__ __forceinline__ void merge(const TallySums& more) {
#pragma unroll
    for (int k = 0; k < kNumbers; ++k) {
#pragma unroll
      for (int i = 0; i < V; ++i) number[k][i] += more.number[k][i];
    }
  }
};

// Gradients of weights are not normalised.
template <int V>
struct NoTally {};

template <Pass kPass, int V>
using TallyOf =
    std::conditional_t<kPass == Pass::forward, TallyMoments<V>,
                       std::conditional_t<kPass == Pass::backward_input, TallySums<V>, NoTally<V>>>;

// V results, from `column` of all on, through the epilogue to out[offset...] and into the tally.
template <int V, class Threads, class T>
__device__ __forceinline__ void store_tallied(const Epilogue<T>& epilogue, const Tally<T>& tally,
                                              float (&v)[V], int64_t column, int64_t offset, T* out,
                                              Threads& own) {
  const auto beside = own.beside(tally, column, offset);  // on its way while the epilogue works
  epilogue.template apply<V>(v, column, offset);
  if (tally.partial != nullptr) {
    float stored[V];
#pragma unroll
    for (int i = 0; i < V; ++i) stored[i] = widen(Narrow<T>::from(v[i]));
    own.add(stored, beside);
  }
  store_values(out + offset, true, v);
}

constexpr size_t tally_floats(int columns, int threads) {
  constexpr size_t kMostNumbers = 3;
  return threads / kWarp * (kMostNumbers * columns + 1);
}

// The numbers of a tile's columns, to partial[number * width + column] of its part: those of its kThreads
// threads, V columns each, where the threads t, t + kColumns / V, ... have the same. `columns`: of the tile
// that there are; sync(): a barrier of these threads.
template <int kColumns, int kThreads, template <int> class Threads, int V, class Sync>
__device__ __forceinline__ void finish_tally(Threads<V>& own, int columns, float* shared, const Sync& sync,
                                             float* partial, int64_t width) {
  constexpr int kPerRow = kColumns / V, kWarps = kThreads / kWarp, kNumbers = Threads<V>::kNumbers;
  constexpr int kOfWarp = kNumbers * kColumns;
  static_assert(kWarp % kPerRow == 0 && kColumns <= kThreads);
  const int thread = static_cast<int>(threadIdx.x), warp = thread / kWarp, lane = thread % kWarp;
#pragma unroll
  for (int distance = kWarp / 2; distance >= kPerRow; distance /= 2) {
    Threads<V> more;
    more.count = __shfl_down_sync(0xffffffffu, own.count, distance);
#pragma unroll
    for (int k = 0; k < kNumbers; ++k) {
#pragma unroll
      for (int i = 0; i < V; ++i)
        more.number[k][i] = __shfl_down_sync(0xffffffffu, own.number[k][i], distance);
    }
    own.merge(more);
  }
  float* const counts = shared + kWarps * kOfWarp;
  sync();
  if (lane < kPerRow) {
#pragma unroll
    for (int k = 0; k < kNumbers; ++k) {
      store_values(shared + warp * kOfWarp + k * kColumns + lane * V, true, own.number[k]);
    }
  }
  if (lane == 0) counts[warp] = own.count;  // its columns are always there
  sync();
  if (thread >= kColumns || thread >= columns) return;
  Threads<1> total;
#pragma unroll 1
  for (int from = 0; from < kWarps; ++from) {
    Threads<1> more;
    more.count = counts[from];
#pragma unroll
    for (int k = 0; k < kNumbers; ++k) more.number[k][0] = shared[from * kOfWarp + k * kColumns + thread];
    total.merge(more);
  }
#pragma unroll
  for (int k = 0; k < kNumbers; ++k) partial[k * width + thread] = total.number[k][0];
}

}  // namespace fc::cuda
