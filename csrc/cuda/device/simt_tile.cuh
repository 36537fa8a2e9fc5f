// simt_tile.cuh — a tile of a product on the CUDA cores, float32 sums in registers.
//
// Block          256 threads, as 16 x 16; each has TM x TN sums, in pieces of 4 x 4 that lie 64 apart, so
//                that a warp's reads of shared memory are broadcasts and neighbours
// Shared memory  two tiles of each operand, float32, the depth outermost: one is multiplied while the next
//                comes from memory by way of registers
// Numerics       one chain of fma per sum, ascending in depth
#pragma once

#include "cuda/device/chunk.cuh"

namespace fc::cuda {

template <int TM_, int TN_, int kDepth_>
struct SimtShape {
  static constexpr int TM = TM_, TN = TN_;
  static constexpr int kRows = 16 * TM, kColumns = 16 * TN, kDepth = kDepth_, kThreads = 256;
  static constexpr int kPad = 4;  // transposing stores meet fewer banks twice
};

template <class Shape>
struct SimtMemory {
  alignas(16) float a[2][Shape::kDepth][Shape::kRows + Shape::kPad];
  alignas(16) float b[2][Shape::kDepth][Shape::kColumns + Shape::kPad];
};

// What a thread carries from memory to shared memory for one operand.
template <class T, class Operand>
struct Carried {
  using Layout = typename Operand::Layout;
  static constexpr int V = Operand::V;
  Chunk<T, V> chunk[Layout::kChunks];

  __device__ __forceinline__ void fetch(Operand& from, int depth) {
    from.seek(depth);
#pragma unroll
    for (int j = 0; j < Layout::kChunks; ++j) {
      const T* const at = Layout::has(j) ? from.at(j) : nullptr;
      chunk[j] = at != nullptr ? load_chunk<V>(at) : zero_chunk<T, V>();
    }
  }

  template <int kDepth, int kPitch>
  __device__ __forceinline__ void put(float (&to)[kDepth][kPitch]) const {
#pragma unroll
    for (int j = 0; j < Layout::kChunks; ++j) {
      if (!Layout::has(j)) continue;
      const int line = Layout::line(j), along = Layout::along();
#pragma unroll
      for (int v = 0; v < V; ++v) {
        const float value = widen(chunk[j].v[v]);
        if constexpr (Operand::kAlongDepth) {
          to[along + v][line] = value;
        } else {
          to[line][along + v] = value;
        }
      }
    }
  }
};

template <class Shape>
struct SimtSums {
  static constexpr int TM = Shape::TM, TN = Shape::TN;
  static constexpr int kSlices = TM / 4, kSliceRows = 64;  // four rows of each of the 16 threads

  float sum[TM][TN];

  __device__ __forceinline__ SimtSums() {
#pragma unroll
    for (int i = 0; i < TM; ++i) {
#pragma unroll
      for (int j = 0; j < TN; ++j) sum[i][j] = 0.0f;
    }
  }

  // Where piece i of a thread's rows or columns lies in the tile.
  static __device__ __forceinline__ int place(int thread, int i) { return i / 4 * 64 + thread * 4 + i % 4; }

  __device__ __forceinline__ void multiply(const SimtMemory<Shape>& memory, int buffer) {
    const int x = static_cast<int>(threadIdx.x) % 16, y = static_cast<int>(threadIdx.x) / 16;
#pragma unroll
    for (int k = 0; k < Shape::kDepth; ++k) {
      float a[TM], b[TN];
#pragma unroll
      for (int i = 0; i < TM; i += 4) read(a + i, &memory.a[buffer][k][place(y, i)]);
#pragma unroll
      for (int j = 0; j < TN; j += 4) read(b + j, &memory.b[buffer][k][place(x, j)]);
#pragma unroll
      for (int i = 0; i < TM; ++i) {
#pragma unroll
        for (int j = 0; j < TN; ++j) sum[i][j] = fmaf(a[i], b[j], sum[i][j]);
      }
    }
  }

  template <int kSlice>
  __device__ __forceinline__ void stage(float* to, int pitch) const {
    const int x = static_cast<int>(threadIdx.x) % 16, y = static_cast<int>(threadIdx.x) / 16;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float (&of)[TN] = sum[kSlice * 4 + i];
#pragma unroll
      for (int j = 0; j < TN; j += 4) {
        const float four[4] = {of[j], of[j + 1], of[j + 2], of[j + 3]};
        store_chunk(to + (y * 4 + i) * pitch + place(x, j), four);
      }
    }
  }
  static __device__ __forceinline__ int row(int slice, int i) { return place(i / 4, slice * 4 + i % 4); }

 private:
  static __device__ __forceinline__ void read(float* to, const float* from) {
    const Chunk<float, 4> four = load_chunk<4>(from);
#pragma unroll
    for (int i = 0; i < 4; ++i) to[i] = four.v[i];
  }
};

// The product of igemm_kernel.cuh on the CUDA cores.
template <class T_, class Shape_>
struct SimtEngine {
  using T = T_;
  using Shape = Shape_;
  using Memory = SimtMemory<Shape>;
  using Sums = SimtSums<Shape>;
  static constexpr int kBlocks =
      Shape::TM * Shape::TN > 32 ? 1 : 2;  // per multiprocessor: registers for 64 sums

  // sums += A · B over depths [begin, end).
  template <class A, class B>
  static __device__ __forceinline__ void multiply(A& a, B& b, int begin, int end, Memory& memory,
                                                  Sums& sums) {
    if (begin >= end) return;
    Carried<T, A> next_a;
    Carried<T, B> next_b;
    next_a.fetch(a, begin);
    next_b.fetch(b, begin);
    next_a.put(memory.a[0]);
    next_b.put(memory.b[0]);
    __syncthreads();
    int buffer = 0;
#pragma unroll 1
    for (int depth = begin + Shape::kDepth; depth < end; depth += Shape::kDepth, buffer ^= 1) {
      next_a.fetch(a, depth);
      next_b.fetch(b, depth);
      sums.multiply(memory, buffer);
      next_a.put(memory.a[buffer ^ 1]);
      next_b.put(memory.b[buffer ^ 1]);
      __syncthreads();
    }
    sums.multiply(memory, buffer);
  }
};

}  // namespace fc::cuda
