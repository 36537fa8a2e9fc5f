// map.cuh — out[i] = f(in0[i], in1[i], ...), 16 bytes per thread and array.
//
// Grid/Block   one thread per pack of 16 bytes, 256 threads a block
// Edges        the last pack, and arrays that are not 16-byte aligned, are moved element by element
#pragma once

#include "cuda/device/storage.cuh"

namespace fc::cuda {

template <class T, int kInputs>
struct MapInputs {
  const T* at[kInputs > 0 ? kInputs : 1];
};

// f.value(const float (&v)[kInputs], int64_t i) gives the result at i.
template <class T, int kInputs, class F>
__global__ void __launch_bounds__(256)
    map_kernel(MapInputs<T, kInputs> in, T* out, int64_t n, bool packed, F f, const int32_t* proceed) {
  constexpr int kSize = Pack<T>::kSize;
  if (proceed != nullptr && *proceed == 0) return;
  const int64_t first = global_thread() * kSize;
  if (packed && first + kSize <= n) {
    Pack<T> loaded[kInputs > 0 ? kInputs : 1], result;
#pragma unroll
    for (int k = 0; k < kInputs; ++k) loaded[k] = *reinterpret_cast<const Pack<T>*>(in.at[k] + first);
#pragma unroll
    for (int j = 0; j < kSize; ++j) {
      float v[kInputs > 0 ? kInputs : 1];
#pragma unroll
      for (int k = 0; k < kInputs; ++k) v[k] = widen(loaded[k].v[j]);
      result.v[j] = Narrow<T>::from(f.value(v, first + j));
    }
    *reinterpret_cast<Pack<T>*>(out + first) = result;
    return;
  }
  for (int64_t i = first; i < n && i < first + kSize; ++i) {
    float v[kInputs > 0 ? kInputs : 1];
#pragma unroll
    for (int k = 0; k < kInputs; ++k) v[k] = load(in.at[k] + i);
    store(out + i, f.value(v, i));
  }
}

template <class T, class F, class... P>
void map(const Context& context, int64_t n, T* out, const F& f, const P*... in) {
  if (n == 0) return;
  constexpr int kThreads = 256;
  const int64_t packs = ceil_div(n, Pack<T>::kSize);
  launch(map_kernel<T, sizeof...(P), F>, dim3(static_cast<unsigned>(ceil_div(packs, kThreads))),
         dim3(kThreads), 0, context, MapInputs<T, sizeof...(P)>{{in...}}, out, n,
         aligned_for_packs(out, in...), f, context.proceed);
}

}  // namespace fc::cuda
