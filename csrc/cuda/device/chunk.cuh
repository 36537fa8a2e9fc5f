// chunk.cuh — V neighbours that one instruction moves, and how the threads of a block share out a tile of
// them.
#pragma once

#include "cuda/device/storage.cuh"

namespace fc::cuda {

template <class T, int V>
struct alignas(V * sizeof(T)) Chunk {
  T v[V];
};

template <int V, class T>
__device__ __forceinline__ Chunk<T, V> load_chunk(const T* p) {
  return *reinterpret_cast<const Chunk<T, V>*>(p);
}

template <int V, class T>
__device__ __forceinline__ void store_chunk(T* p, const float (&v)[V]) {
  Chunk<T, V> chunk;
#pragma unroll
  for (int i = 0; i < V; ++i) chunk.v[i] = Narrow<T>::from(v[i]);
  *reinterpret_cast<Chunk<T, V>*>(p) = chunk;
}

template <class T, int V>
__device__ __forceinline__ Chunk<T, V> zero_chunk() {
  Chunk<T, V> zeros;
#pragma unroll
  for (int i = 0; i < V; ++i) zeros.v[i] = Narrow<T>::from(0.0f);
  return zeros;
}

// The next number becomes the first: how a loop that is not unrolled goes through registers.
template <int V>
__device__ __forceinline__ void rotate(float (&v)[V]) {
  const float first = v[0];
#pragma unroll
  for (int i = 0; i + 1 < V; ++i) v[i] = v[i + 1];
  v[V - 1] = first;
}

// A tile of kLines lines of kLength elements, in chunks of V: neighbouring threads take neighbouring chunks,
// and all chunks of one thread begin at the same place of their lines.
template <int kLines, int kLength, int V, int kThreads>
struct ChunkLayout {
  static constexpr int kPerLine = kLength / V;
  static constexpr int kLineStep = kThreads / kPerLine;
  static constexpr int kChunks = (kLines + kLineStep - 1) / kLineStep;  // of a thread
  static_assert(kLength % V == 0 && kThreads % kPerLine == 0);

  static __device__ __forceinline__ int along() { return thread() % kPerLine * V; }
  static __device__ __forceinline__ int line(int j) { return thread() / kPerLine + j * kLineStep; }
  static __device__ __forceinline__ bool has(int j) { return kLines % kLineStep == 0 || line(j) < kLines; }

 private:
  static __device__ __forceinline__ int thread() { return static_cast<int>(threadIdx.x); }
};

}  // namespace fc::cuda
