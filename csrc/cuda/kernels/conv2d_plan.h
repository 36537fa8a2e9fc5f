// conv2d_plan.h — which kernel computes a convolution, with which tiles, in how many parts: by its shape,
// type and precision and the compute capability alone, so that its bits do not depend on how large the GPU
// is.
#pragma once

#include <optional>

#include "cuda/device/capability.cuh"
#include "cuda/device/conv_product.cuh"
#include "cuda/device/igemm_launch.cuh"
#include "cuda/device/partial_sums.cuh"
#include "cuda/hopper/run.h"
#include "cuda/kernels/conv2d_first.h"

namespace fc::cuda {

// One thread per result: few products per result leave a tile mostly empty, and depthwise layers have no
// matrix product in them at all. Also whatever is too large for the tiles' indices.
inline bool suits_direct(const Conv2dSpec& s) {
  constexpr int64_t kFewChannels = 8;
  const bool narrow = s.groups > 1 && s.group_channels() < kFewChannels && s.group_filters() < kFewChannels;
  return narrow || !fits_int(s);
}

// The extents of a pass's product; of backward_input, those of its largest phase.
struct ProductExtents {
  int64_t rows, columns, depth, results, phases = 1;

  ProductExtents(const Conv2dSpec& s, Pass pass) {
    const int64_t taps = s.R * s.S, pixels = s.N * s.P * s.Q;
    if (pass == Pass::forward) {
      rows = pixels, columns = s.group_filters(), depth = taps * s.group_channels(), results = pixels * s.K;
    } else if (pass == Pass::backward_input) {
      phases = s.stride_h * s.stride_w;
      rows = s.N * ceil_div(s.H, s.stride_h) * ceil_div(s.W, s.stride_w), columns = s.group_channels();
      depth = ceil_div(s.R, s.stride_h) * ceil_div(s.S, s.stride_w) * s.group_filters();
      results = s.N * s.H * s.W * s.C;
    } else {
      rows = taps * s.group_channels(), columns = s.group_filters(), depth = pixels, results = rows * s.K;
    }
  }
};

enum class Tiles { narrow, small, large };

struct ProductPlan {
  bool tensor_cores;
  Tiles tiles = Tiles::small;
  Split split;

  size_t workspace() const { return split.parts > 1 ? sizeof(float) * split.parts * split.results : 0; }
};

// What tensor_tile.cuh and mma.cuh need: bfloat16 and TF32 on the tensor cores, copies past the registers.
inline constexpr int kTensorCapability = 80;

// Whether a GPU with such tensor cores is to use them.
template <class T>
bool suits_tensor_cores(const Conv2dSpec& s, int64_t depth) {
  // Fewer products per sum than this, and the rounding of 3xTF32 (up to 12 units of each product) would show.
  constexpr int64_t kHidingDepth = 32;
  return sizeof(T) < 4 || (s.numerics.precision != Precision::strict && depth >= kHidingDepth);
}

template <class T>
bool takes_tensor_cores(const Conv2dSpec& s, int64_t depth) {
  return suits_tensor_cores<T>(s, depth) && capability() >= kTensorCapability;
}

template <Pass kPass, class T>
ProductPlan plan_product(const Conv2dSpec& s, bool has_tensor_cores) {
  constexpr int64_t kLeastPart = 256, kPartStep = 64;  // a multiple of every tile's depth
  const ProductExtents e(s, kPass);
  const bool strict = s.numerics.precision == Precision::strict, weight = kPass == Pass::backward_weight;
  ProductPlan plan;
  plan.tensor_cores = has_tensor_cores && suits_tensor_cores<T>(s, e.depth);

  // Large tiles read each operand half as often; small ones keep more multiprocessors busy.
  const auto tiles_of = [&](int64_t rows, int64_t columns) {
    return ceil_div(e.rows, rows) * ceil_div(e.columns, columns) * s.groups;
  };
  const bool whole = whole_chunks<T>(s.C, s.group_channels(), s.K, s.group_filters());
  const int64_t wide = plan.tensor_cores ? LargeTensor<T>::kColumns : LargeSimt::kColumns;
  const int64_t at_once =
      weight ? ceil_div(e.depth, kLeastPart) : std::min<int64_t>(e.phases, kPhasesPerLaunch);
  const bool has_large = plan.tensor_cores || sizeof(T) == 4;
  if (has_large && whole && e.columns > wide / 2 &&
      tiles_of(LargeTensor<T>::kRows, wide) * at_once >= kBusyBlocks / 2) {
    plan.tiles = Tiles::large;
  } else if (plan.tensor_cores && e.columns <= NarrowTensor<T>::kColumns) {
    plan.tiles = Tiles::narrow;
  }

  // In strict precision the bits of a sample do not depend on how many others there are.
  if (e.phases == 1 && (weight || !strict)) {
    const int64_t tiles = plan.tiles == Tiles::large ? tiles_of(LargeTensor<T>::kRows, wide)
                          : plan.tiles == Tiles::narrow
                              ? tiles_of(NarrowTensor<T>::kRows, NarrowTensor<T>::kColumns)
                              : tiles_of(SmallTensor<T>::kRows, SmallTensor<T>::kColumns);
    const int64_t parts = parts_for(tiles, e.depth, kLeastPart);
    const int64_t part_depth = ceil_div(ceil_div(e.depth, parts), kPartStep) * kPartStep;
    plan.split = {std::max<int>(1, static_cast<int>(ceil_div(e.depth, std::max<int64_t>(part_depth, 1)))),
                  static_cast<int>(part_depth), e.results, nullptr};
  }
  return plan;
}

template <Pass kPass, class T>
size_t product_workspace(const Conv2dSpec& s) {
  if (suits_direct(s)) return 0;
  const size_t bytes =
      std::max(plan_product<kPass, T>(s, true).workspace(), plan_product<kPass, T>(s, false).workspace());
  return kHopperBuilt && suits_hopper<kPass, T>(s) ? std::max(bytes, plan_hopper<kPass>(s).workspace())
                                                   : bytes;
}

// The tally's parts where Hopper's kernels have computed the product.
template <Pass kPass, class T>
std::optional<TallyParts> run_on_hopper(const Conv2dSpec& s, Igemm<kPass, T> p, const Context& context) {
  if constexpr (kHopperBuilt && sizeof(T) == 2) {
    if (capability() != kHopperCapability || !suits_hopper<kPass, T>(s) || !p.chunks_a || !p.chunks_b ||
        !p.chunks_out || p.phase[0].window_bits > 0)
      return {};
    const HopperPlan plan = plan_hopper<kPass>(s);
    const TallyParts tally = place_tally(p, kHopperRows, plan.parts);
    auto* const partial = static_cast<float*>(context.workspace);
    run_hopper(plan, s, p, partial, context);
    if (plan.parts > 1) finish_parts(context, p, Split{plan.parts, 0, plan.results, partial});
    return tally;
  }
  return {};
}

// The parts of p's tally, which may be in the workspace: where there are any, the product needs none itself.
template <Pass kPass, class T>
TallyParts run_product(const Conv2dSpec& s, const Igemm<kPass, T>& p, const Context& context) {
  if (const auto tally = run_on_hopper<kPass>(s, p, context)) return *tally;
  ProductPlan plan = plan_product<kPass, T>(s, capability() >= kTensorCapability);
  if (p.phase[0].window_bits > 0) plan.split = {};  // a part of a sum is no result that could be compared
  if (plan.split.parts > 1) plan.split.partial = static_cast<float*>(context.workspace);
  const bool large = plan.tiles == Tiles::large && p.chunks_a && p.chunks_b;
  if (!plan.tensor_cores) {
    if constexpr (sizeof(T) == 4) {
      if (large) return launch_chunks<kPass, SimtEngine<T, LargeSimt>>(p, plan.split, context);
    }
    if constexpr (sizeof(T) == 4 || kOldestCapability < kTensorCapability) {
      return launch_elements<kPass, SimtEngine<T, SmallSimt>>(p, plan.split, context);
    }
  }
  if (large) return launch_chunks<kPass, TensorEngine<T, LargeTensor<T>>>(p, plan.split, context);
  if (plan.tiles == Tiles::narrow) {
    return launch_elements<kPass, TensorEngine<T, NarrowTensor<T>>>(p, plan.split, context);
  }
  return launch_elements<kPass, TensorEngine<T, SmallTensor<T>>>(p, plan.split, context);
}

}  // namespace fc::cuda
