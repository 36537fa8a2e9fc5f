// igemm_kernel.cuh — one tile of a convolution's product per block; what multiplies it is the Engine.
//
// Grid       x: tiles, those of the same rows next to each other, so that they find A in the L2 cache
//            y: phases, or parts of the depth   z: groups
// Block      Engine::Shape::kThreads
// Shared memory  the Engine's tiles; then the same bytes stage the results (tile_store.cuh) and, where they
//            are to be summed up, the sums (tally.cuh)
// Numerics   parts are cut by shape alone, and finish_parts_kernel adds them in order
// Edges      rows, columns and depths beyond the last count as 0 and are not stored. A cell outside the image
//            is 0 too: times an infinite weight it gives NaN
#pragma once

#include <algorithm>

#include "cuda/device/operand.cuh"
#include "cuda/device/partial_sums.cuh"
#include "cuda/device/tally.cuh"
#include "cuda/device/tile_store.cuh"
#include "cuda/device/window_store.cuh"

namespace fc::cuda {

// How the depth is cut, where tiles alone would leave a GPU idle: blocks sum up a part each. One part is all
// of it, whatever a phase's depth.
struct Split {
  int parts = 1, part_depth = 0;
  int64_t results = 0;
  float* partial = nullptr;  // parts x results
};

// out[i] = epilogue(Σ partial[part * results + i]), the parts in order.
template <class T>
__global__ void __launch_bounds__(256)
    finish_parts_kernel(Split split, int64_t columns, Epilogue<T> epilogue, T* out) {
  const int64_t i = global_thread();
  if (i >= split.results) return;
  float sum[1] = {split.partial[i]};
#pragma unroll 4
  for (int part = 1; part < split.parts; ++part) sum[0] += split.partial[part * split.results + i];
  epilogue.template apply<1>(sum, i % columns, i);
  store(out + i, sum[0]);
}

// The same of many parts: partial_sums.cuh.
template <class T>
__global__ void __launch_bounds__(kBlockRowThreads)
    finish_many_parts_kernel(Split split, int64_t columns, Epilogue<T> epilogue, T* out) {
  const PartTotal total(split.partial, split.parts, split.results, split.results);
  if (!total.here) return;
  float sum[1] = {total.sum};
  epilogue.template apply<1>(sum, total.at % columns, total.at);
  store(out + total.at, sum[0]);
}

template <Pass kPass, class T>
void finish_parts(const Context& context, const Igemm<kPass, T>& p, const Split& split) {
  using Result = ResultOf<kPass, T>;
  const bool many = split.parts >= kManyParts;
  launch(many ? finish_many_parts_kernel<Result> : finish_parts_kernel<Result>,
         dim3(static_cast<unsigned>(ceil_div(split.results, many ? kBlockChunks : 256))), dim3(256), 0,
         context, split, int64_t{p.groups} * p.columns, p.epilogue, p.out);
}

template <class Engine>
constexpr size_t igemm_shared_bytes() {
  using Shape = typename Engine::Shape;
  constexpr size_t kStage = stage_bytes<typename Engine::Sums, Shape::kColumns>();
  constexpr size_t kTally = sizeof(float) * tally_floats(Shape::kColumns, Shape::kThreads);
  return std::max({sizeof(typename Engine::Memory), kStage, kTally});
}

// The sums of one block's tile, from the operands of a pass.
template <Pass kPass, int VA, int VB, class Engine, class T>
__device__ __forceinline__ void multiply_tile(const IgemmOperands<T>& p, const Gather& g, int first_row,
                                              int first_column, int begin, int end,
                                              typename Engine::Sums& sums) {
  using Shape = typename Engine::Shape;
  using TileA = TileOf<Shape::kRows, Shape::kDepth, VA, Shape::kThreads>;
  using TileB = TileOf<Shape::kColumns, Shape::kDepth, VB, Shape::kThreads>;
  const int group = static_cast<int>(blockIdx.z);
  auto& memory = *dynamic_shared<typename Engine::Memory>();
  if constexpr (kPass == Pass::forward) {
    PixelRows<T, TileA, true> a(p, g, group, first_row);
    MatrixLines<T, TileB> b(p, group, first_column, end);
    Engine::multiply(a, b, begin, end, memory, sums);
  } else if constexpr (kPass == Pass::backward_input) {
    PixelRows<T, TileA, false> a(p, g, group, first_row);
    FilterColumns<T, TileB> b(p, g, group, first_column);
    Engine::multiply(a, b, begin, end, memory, sums);
  } else {
    TapRows<T, TileA> a(p, g, group, first_row, end);
    MatrixLines<T, TileB> b(p, group, first_column, end);
    Engine::multiply(a, b, begin, end, memory, sums);
  }
}

// V sums of one row, from `column` of the group on, through the epilogue to out[offset...].
template <int V, Pass kPass, class T>
__device__ __forceinline__ void store_results(const Igemm<kPass, T>& p, float (&v)[V], int column,
                                              int64_t offset, TallyOf<kPass, V>& tally) {
  const int64_t of_all = static_cast<int64_t>(blockIdx.z) * p.columns + column;
  if (p.chunks_out && column + V <= p.columns) {
    if constexpr (kPass == Pass::backward_weight) {
      store_chunk(p.out + offset, v);  // without an epilogue
    } else {
      store_tallied(p.epilogue, p.tally, v, of_all, offset, p.out, tally);
    }
    return;
  }
#pragma unroll 1
  for (int i = 0; i < V && column + i < p.columns; ++i) {
    float one[1] = {v[0]};
    p.epilogue.template apply<1>(one, of_all + i, offset + i);
    store(p.out + offset + i, one[0]);
    rotate(v);
  }
}

// The largest results of a window, whose sums are staged, to number `window` of the windows.
inline constexpr int kWindowChunk = 4;  // of columns: more would not leave registers for the other sums
template <int kPitch, class T>
__device__ __forceinline__ void store_largest(const Igemm<Pass::forward, T>& p, const float* staged,
                                              int column, int64_t window, int64_t width) {
  const int64_t of_all = static_cast<int64_t>(blockIdx.z) * p.columns + column,
                offset = window * width + of_all;
  constexpr int V = kWindowChunk;
  if (p.chunks_out) {
    const auto load = [&](unsigned cell, float (&v)[V]) { load_values(staged + cell * kPitch, true, v); };
    return store_window<V>(p.epilogue, of_all, offset, p.out, p.index, load);
  }
#pragma unroll 1
  for (int i = 0; i < V && column + i < p.columns; ++i) {
    const auto load = [&](unsigned cell, float (&v)[1]) { v[0] = staged[cell * kPitch + i]; };
    store_window<1>(p.epilogue, of_all + i, offset + i, p.out, p.index, load);
  }
}

// The same for a part's sums, whose epilogue comes in finish_parts_kernel.
template <int V, Pass kPass, class T>
__device__ __forceinline__ void store_part(const Igemm<kPass, T>& p, float* to, const float (&v)[V],
                                           int column) {
  if (p.chunks_out && column + V <= p.columns) {
#pragma unroll
    for (int i = 0; i < V; i += 4) store_chunk(to + i, {v[i], v[i + 1], v[i + 2], v[i + 3]});
    return;
  }
#pragma unroll
  for (int i = 0; i < V; ++i) {
    if (column + i < p.columns) to[i] = v[i];
  }
}

template <Pass kPass, int VA, int VB, class Engine>
__global__ void __launch_bounds__(Engine::Shape::kThreads, Engine::kBlocks)
    igemm_kernel(const __grid_constant__ Igemm<kPass, typename Engine::T> p, int column_tiles, Split split) {
  using Shape = typename Engine::Shape;
  constexpr bool kWeight = kPass == Pass::backward_weight;
  constexpr int V = 16 / sizeof(ResultOf<kPass, typename Engine::T>);
  const int y = static_cast<int>(blockIdx.y), part = split.parts > 1 ? y : 0;
  const Gather& g = p.phase[split.parts > 1 ? 0 : y];
  const int tile = static_cast<int>(blockIdx.x);
  const int first_row = tile / column_tiles * Shape::kRows;
  const int first_column = tile % column_tiles * Shape::kColumns;
  const int rows = kWeight ? g.taps_by_channels : g.pixels;
  if (first_row >= rows) return;  // phases differ in size

  const int depth = kWeight ? g.pixels : g.taps_by_channels;
  const int begin = part * split.part_depth, cut = begin + split.part_depth;
  const int end = split.parts > 1 && cut < depth ? cut : depth;
  typename Engine::Sums sums;
  multiply_tile<kPass, VA, VB, Engine>(p, g, first_row, first_column, begin, end, sums);

  if constexpr (kPass == Pass::forward) {
    if (g.window_bits > 0) {
      return store_tile<kWindowChunk, 4, Shape::kColumns, Shape::kThreads>(
          sums, dynamic_shared<float>(), [&](int row_in_tile, int column_in_tile, const float* staged) {
            const int row = first_row + row_in_tile, column = first_column + column_in_tile;
            if (row >= rows || column >= p.columns) return;
            store_largest<Shape::kColumns + kStagePad>(p, staged, column, row / 4, g.out_pixel);
          });
    }
  }
  const int64_t group_out = static_cast<int64_t>(blockIdx.z) * p.out_group;
  TallyOf<kPass, V> tally;
  store_tile<V, 1, Shape::kColumns, Shape::kThreads>(
      sums, dynamic_shared<float>(), [&](int row_in_tile, int column_in_tile, const float* staged) {
        float v[V];
        load_values(staged, true, v);
        const int row = first_row + row_in_tile, column = first_column + column_in_tile;
        if (row >= rows || column >= p.columns) return;
        const int64_t offset = (kWeight ? row * p.b_line : locate_result(g, row)) + group_out + column;
        if (split.parts > 1) {
          store_part(p, split.partial + part * split.results + offset, v, column);
        } else {
          store_results(p, v, column, offset, tally);
        }
      });
  if constexpr (!kWeight) {
    if (p.tally.partial == nullptr) return;
    const int64_t width = int64_t{p.groups} * p.columns;
    const int64_t of_part = p.tally.first_part[y] + tile / column_tiles;
    finish_tally<Shape::kColumns, Shape::kThreads>(
        tally, p.columns - first_column, dynamic_shared<float>(), [] { __syncthreads(); },
        p.tally.partial + of_part * tally.kNumbers * width + int64_t{blockIdx.z} * p.columns + first_column,
        width);
  }
}

}  // namespace fc::cuda
