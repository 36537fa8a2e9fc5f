// window_store.cuh — of the four sums of a window of 2 x 2, the largest result, on its way to memory.
#pragma once

#include "cuda/device/epilogue.cuh"
#include "cuda/device/pool2d_kinds.cuh"

namespace fc::cuda {

// load(cell, v) gives V neighbouring sums of a cell of the window, from `column` on. What a plain epilogue makes
// of them is rounded as if it were stored, so that the same cell wins as where it is; index may be null.
template <int V, class T, class Load>
__device__ __forceinline__ void store_window(const Epilogue<T>& epilogue, int64_t column, int64_t offset,
                                             T* y, uint8_t* index, const Load& load) {
  const Extreme<T, V, uint8_t> largest{y, index};
  auto state = largest.state(0);
#pragma unroll 1
  for (unsigned cell = 0; cell < 4; ++cell) {
    float v[V];
    load(cell, v);
    epilogue.template apply_plain<V>(v, column);
    Items<T, V> results;
#pragma unroll
    for (int i = 0; i < V; ++i) results.v[i] = Narrow<T>::from(v[i]);
    largest.add(state, results, true, cell);
  }
  largest.finish(state, offset, 0);
}

}  // namespace fc::cuda
