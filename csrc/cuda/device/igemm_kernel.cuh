// igemm_kernel.cuh — one tile of a convolution's product per block; what multiplies it is the Engine.
//
// Grid       x: tiles, those of the same rows next to each other, so that they find A in the L2 cache
//            y: phases, or parts of the depth of backward_weight   z: groups
// Block      Engine::Shape::kThreads
// Shared memory  the Engine's tiles, then the same bytes stage the results (tile_store.cuh)
// Numerics   backward_weight's depth is cut by shape alone; partial_sums.cuh adds the parts in order
// Edges      rows, columns and depths beyond the last count as 0 and are not stored. A cell outside the image
//            is 0 too: times an infinite weight it gives NaN
#pragma once

#include "cuda/device/operand.cuh"
#include "cuda/device/partial_sums.cuh"
#include "cuda/device/tile_store.cuh"

namespace fc::cuda {

// How the depth of backward_weight is cut, and where the parts' sums go.
template <class T>
struct DepthSplit {
  PartialSums<T> sums{nullptr, 1, 0, nullptr};
  int part_depth = 0;
};

template <class Engine>
constexpr size_t igemm_shared_bytes() {
  constexpr size_t kTiles = sizeof(typename Engine::Memory);
  constexpr size_t kStage = stage_bytes<typename Engine::Sums, Engine::Shape::kColumns>();
  return kTiles > kStage ? kTiles : kStage;
}

// The sums of one block's tile, from the operands of a pass.
template <Pass kPass, int VA, int VB, class Engine, class T>
__device__ __forceinline__ void multiply_tile(const Igemm<T>& p, const Gather& g, int first_row,
                                              int first_column, int begin, int end,
                                              typename Engine::Sums& sums) {
  using Shape = typename Engine::Shape;
  using TileA = TileOf<Shape::kRows, Shape::kDepth, VA, Shape::kThreads>;
  using TileB = TileOf<Shape::kColumns, Shape::kDepth, VB, Shape::kThreads>;
  const int group = static_cast<int>(blockIdx.z);
  auto& memory = *dynamic_shared<typename Engine::Memory>();
  if constexpr (kPass == Pass::forward) {
    PixelRows<T, TileA> a(p, g, group, first_row);
    MatrixLines<T, TileB> b(p, group, first_column, end);
    Engine::multiply(a, b, begin, end, memory, sums);
  } else if constexpr (kPass == Pass::backward_input) {
    PixelRows<T, TileA> a(p, g, group, first_row);
    FilterColumns<T, TileB> b(p, g, group, first_column);
    Engine::multiply(a, b, begin, end, memory, sums);
  } else {
    TapRows<T, TileA> a(p, g, group, first_row, end);
    MatrixLines<T, TileB> b(p, group, first_column, end);
    Engine::multiply(a, b, begin, end, memory, sums);
  }
}

// V sums of one row, from `column` of the group on, through the epilogue to out[offset...].
template <int V, class T>
__device__ __forceinline__ void store_results(const Igemm<T>& p, float (&v)[V], int column, int64_t offset) {
  const int64_t of_all = static_cast<int64_t>(blockIdx.z) * p.columns + column;
  if (p.chunks_out && column + V <= p.columns) {
    p.epilogue.template apply<V>(v, of_all, offset);
    store_chunk(p.out + offset, v);
    return;
  }
#pragma unroll
  for (int i = 0; i < V; ++i) {
    if (column + i >= p.columns) return;
    float one[1] = {v[i]};
    p.epilogue.template apply<1>(one, of_all + i, offset + i);
    store(p.out + offset + i, one[0]);
  }
}

// The same for a part's sums, which see no epilogue.
template <int V, class T>
__device__ __forceinline__ void store_part(const Igemm<T>& p, const PartialSums<T>& sums, const float (&v)[V],
                                           int column, int64_t offset) {
  const int part = static_cast<int>(blockIdx.y);
  if (p.chunks_out && column + V <= p.columns) return sums.put(part, offset, v);
#pragma unroll
  for (int i = 0; i < V; ++i) {
    if (column + i < p.columns) sums.template put<1>(part, offset + i, {v[i]});
  }
}

template <Pass kPass, int VA, int VB, class Engine>
__global__ void __launch_bounds__(Engine::Shape::kThreads, Engine::kBlocks)
    igemm_kernel(const __grid_constant__ Igemm<typename Engine::T> p, int column_tiles,
                 DepthSplit<typename Engine::T> split) {
  using T = typename Engine::T;
  using Shape = typename Engine::Shape;
  constexpr bool kWeight = kPass == Pass::backward_weight;
  constexpr int V = 16 / sizeof(T);
  const Gather& g = p.phase[kWeight ? 0 : blockIdx.y];
  const int tile = static_cast<int>(blockIdx.x);
  const int first_row = tile / column_tiles * Shape::kRows;
  const int first_column = tile % column_tiles * Shape::kColumns;
  const int rows = kWeight ? g.taps_by_channels : g.pixels;
  if (first_row >= rows) return;  // phases differ in size

  int begin = 0, end = g.taps_by_channels;
  if constexpr (kWeight) {
    begin = static_cast<int>(blockIdx.y) * split.part_depth;
    const int cut = begin + split.part_depth;
    end = cut < g.pixels ? cut : g.pixels;
  }
  typename Engine::Sums sums;
  multiply_tile<kPass, VA, VB, Engine>(p, g, first_row, first_column, begin, end, sums);

  const int64_t group_out = static_cast<int64_t>(blockIdx.z) * p.out_group;
  store_tile<V, Shape::kColumns, Shape::kThreads>(
      sums, dynamic_shared<float>(), [&](int row_in_tile, int column_in_tile, float (&v)[V]) {
        const int row = first_row + row_in_tile, column = first_column + column_in_tile;
        if (row >= rows || column >= p.columns) return;
        if constexpr (kWeight) {
          store_part(p, split.sums, v, column, row * p.b_line + group_out + column);
        } else {
          store_results(p, v, column, locate_result(g, row) + group_out + column);
        }
      });
}

}  // namespace fc::cuda
