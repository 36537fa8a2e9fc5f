// igemm_launch.cuh — from a convolution's description to the launch of the kernel that suits it.
#pragma once

#include "cuda/device/igemm_kernel.cuh"
#include "cuda/device/simt_tile.cuh"
#include "cuda/device/tensor_tile.cuh"

namespace fc::cuda {

using LargeSimt = SimtShape<8, 8, 8>;
using SmallSimt = SimtShape<4, 4, 16>;

template <Pass kPass, int VA, int VB, class Engine>
void launch_tiles(const Igemm<typename Engine::T>& p, const DepthSplit<typename Engine::T>& split,
                  const Context& context) {
  constexpr bool kWeight = kPass == Pass::backward_weight;
  int64_t rows = 0;
  for (int i = 0; i < p.phases; ++i) {
    rows = std::max<int64_t>(rows, kWeight ? p.phase[i].taps_by_channels : p.phase[i].pixels);
  }
  const int64_t row_tiles = ceil_div(rows, Engine::Shape::kRows);
  const int64_t column_tiles = ceil_div(p.columns, Engine::Shape::kColumns);
  if (row_tiles == 0) return;
  launch(igemm_kernel<kPass, VA, VB, Engine>,
         dim3(static_cast<unsigned>(row_tiles * column_tiles),
              static_cast<unsigned>(kWeight ? split.sums.parts : p.phases), static_cast<unsigned>(p.groups)),
         dim3(Engine::Shape::kThreads), igemm_shared_bytes<Engine>(), context, p,
         static_cast<int>(column_tiles), split);
}

// With chunks where the operands allow it. backward_input's operands both run along the filters, and allow it
// both or neither.
template <Pass kPass, class Engine>
void launch_chunks(const Igemm<typename Engine::T>& p, const DepthSplit<typename Engine::T>& split,
                   const Context& context) {
  constexpr int V = 16 / sizeof(typename Engine::T);
  if (p.chunks_a && p.chunks_b) return launch_tiles<kPass, V, V, Engine>(p, split, context);
  if constexpr (kPass != Pass::backward_input) {
    if (p.chunks_b) return launch_tiles<kPass, 1, V, Engine>(p, split, context);
  }
  launch_tiles<kPass, 1, 1, Engine>(p, split, context);
}

}  // namespace fc::cuda
