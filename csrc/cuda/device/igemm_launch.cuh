// igemm_launch.cuh — the tiles that there are, and their launches, which return the parts of p's tally.
#pragma once

#include "cuda/device/igemm_kernel.cuh"
#include "cuda/device/simt_tile.cuh"
#include "cuda/device/tensor_tile.cuh"

namespace fc::cuda {

using LargeSimt = SimtShape<8, 8, 8>;
using SmallSimt = SimtShape<4, 4, 16>;
// Lines of 64 bytes along the depth; float32 has two parts of everything to keep in registers.
template <class T>
using LargeTensor =
    std::conditional_t<sizeof(T) == 4, TensorShape<128, 64, 16, 4, 2, 4>, TensorShape<128, 128, 32, 2, 4, 4>>;
template <class T>
using SmallTensor = TensorShape<64, 64, 64 / sizeof(T), 2, 2, 4>;
template <class T>
using NarrowTensor = TensorShape<128, 32, 64 / sizeof(T), 4, 1, 4>;

template <Pass kPass, int VA, int VB, class Engine>
TallyParts launch_tiles(Igemm<kPass, typename Engine::T> p, const Split& split, const Context& context) {
  static_assert(Engine::Shape::kRows >= kLeastTileRows);
  const TallyParts tally = place_tally(p, Engine::Shape::kRows, split.parts);
  int64_t rows = 0;
  for (int i = 0; i < p.phases; ++i) {
    rows = std::max<int64_t>(
        rows, kPass == Pass::backward_weight ? p.phase[i].taps_by_channels : p.phase[i].pixels);
  }
  const int64_t row_tiles = ceil_div(rows, Engine::Shape::kRows);
  const int64_t column_tiles = ceil_div(p.columns, Engine::Shape::kColumns);
  if (row_tiles == 0) return {};
  launch(
      igemm_kernel<kPass, VA, VB, Engine>,
      dim3(static_cast<unsigned>(row_tiles * column_tiles),
           static_cast<unsigned>(split.parts > 1 ? split.parts : p.phases), static_cast<unsigned>(p.groups)),
      dim3(Engine::Shape::kThreads), igemm_shared_bytes<Engine>(), context, p, static_cast<int>(column_tiles),
      split);
  if (split.parts > 1) finish_parts(context, p, split);
  return tally;
}

// Operands that are all chunks of 16 bytes.
template <Pass kPass, class Engine>
TallyParts launch_chunks(const Igemm<kPass, typename Engine::T>& p, const Split& split,
                         const Context& context) {
  constexpr int V = 16 / sizeof(typename Engine::T);
  return launch_tiles<kPass, V, V, Engine>(p, split, context);
}

// Any operands; by chunks where they are. backward_input's both run along the filters, and are both or
// neither.
template <Pass kPass, class Engine>
TallyParts launch_elements(const Igemm<kPass, typename Engine::T>& p, const Split& split,
                           const Context& context) {
  constexpr int V = 16 / sizeof(typename Engine::T);
  if (p.chunks_a && p.chunks_b) return launch_chunks<kPass, Engine>(p, split, context);
  if constexpr (kPass != Pass::backward_input) {
    if (p.chunks_b) return launch_tiles<kPass, 1, V, Engine>(p, split, context);
  }
  return launch_tiles<kPass, 1, 1, Engine>(p, split, context);
}

}  // namespace fc::cuda
