// igemm.cuh — a convolution's product as its kernels get it; who is M, N and K: gather.cuh.
#pragma once

#include <type_traits>

#include "cuda/device/epilogue.cuh"
#include "cuda/device/gather.cuh"

namespace fc::cuda {

enum class Pass { forward, backward_input, backward_weight };

inline constexpr int kPhasesPerLaunch = 4;  // a stride of 2 has four

// What is multiplied.
template <class T>
struct IgemmOperands {
  const T *a, *b;
  int columns;  // of a group
  int groups;
  int64_t b_line;            // elements from one line (a column, where they lie transposed) of B to the next
  int64_t a_group, b_group;  // elements from one group to the next
  bool chunks_a, chunks_b;   // whether 16 bytes of neighbours may be moved at once
  int phases;
  Gather phase[kPhasesPerLaunch];
};

// Gradients of weights are float32, whatever they are made of.
template <Pass kPass, class T>
using ResultOf = std::conditional_t<kPass == Pass::backward_weight, float, T>;

// What is to be summed up of the results for a batch normalisation next to them (tally.cuh).
template <class T>
struct Tally {
  float* partial = nullptr;  // null: nothing
  // Of backward_input: what the normalisation read, laid out as the results, and its columns' means.
  const T* normalized = nullptr;
  const float* batch_mean = nullptr;
  int first_part[kPhasesPerLaunch] = {};  // of a phase; place_tally()
};

// The parts of a tally, each of the results of `rows` pixels of a phase; none: nothing was summed up.
struct TallyParts {
  int64_t count = 0, rows = 0;
};

// No tile has fewer rows: what workspaces are to expect.
inline constexpr int kLeastTileRows = 64;

template <Pass kPass, class T>
struct Igemm : IgemmOperands<T> {
  using Result = ResultOf<kPass, T>;

  Result* out;
  int64_t out_group;
  bool chunks_out;
  Epilogue<Result> epilogue;
  Tally<Result> tally;
  uint8_t* index = nullptr;  // of windows: which of its cells won; null: nobody asks
};

// Numbers p's tally by tiles of `tile_rows`. There is none where a part of the depth alone is in a tile, nor
// where results leave one by one.
template <Pass kPass, class T>
TallyParts place_tally(Igemm<kPass, T>& p, int tile_rows, int depth_parts) {
  if (depth_parts > 1 || !p.chunks_out) p.tally = {};
  if (p.tally.partial == nullptr) return {};
  TallyParts parts{0, tile_rows};
  for (int i = 0; i < p.phases; ++i) {
    p.tally.first_part[i] = static_cast<int>(parts.count);
    parts.count += ceil_div(p.phase[i].pixels, tile_rows);
  }
  return parts;
}

}  // namespace fc::cuda
