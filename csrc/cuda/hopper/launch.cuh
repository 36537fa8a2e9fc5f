// launch.cuh — from a convolution's product to a launch of kernel.cuh.
#pragma once

#include "cuda/hopper/kernel.cuh"
#include "cuda/hopper/run.h"

namespace fc::cuda {

// Taps along one axis of a gather, as ImageAxis counts them from its lowest cell.
inline TapOffsets tap_offsets(const GatherAxis& a, const ImageAxis& axis) {
  return {a.tap_step < 0 ? static_cast<int>(axis.most_offset) : 0, a.tap_step};
}

template <Pass kPass, class T>
HopperPhase make_phase(const Conv2dSpec& s, const Gather& g, const T* images) {
  constexpr int kBoxPixels = kPass == Pass::backward_weight ? kBoxLine : kHopperRows;
  const ImagesMap map = images_map(g, s.N, kBoxPixels);
  const int64_t in_filter = s.C * s.K;  // numbers of a tap
  const auto i = [](int64_t v) { return static_cast<int>(v); };
  HopperPhase phase{};
  phase.matrix = is_matrix(map);
  phase.images = phase.matrix ? make_map(s.dtype, images, matrix_map(map)) : make_map(s.dtype, images, map);
  phase.gather = g;
  phase.lower = {0, i(map.h.lower), i(map.w.lower)};
  phase.offset_h = tap_offsets(g.h, map.h), phase.offset_w = tap_offsets(g.w, map.w);
  phase.taps_w = i(g.taps_w.divisor), phase.taps = g.taps_by_channels / i(g.channels.divisor);
  if (kPass == Pass::backward_input) {
    phase.filter_first = i(g.filter_first / in_filter);
    phase.filter_h = i(g.filter_tap_h / in_filter), phase.filter_w = i(g.filter_tap_w / in_filter);
  } else {  // whose depth goes over the filter as it lies
    phase.filter_h = phase.taps_w, phase.filter_w = 1;
  }
  return phase;
}

template <int kColumns, Pass kPass, class T>
void launch_hopper(const HopperProduct<kPass, T>& product, int64_t row_tiles, int phases,
                   const Context& context) {
  launch(hopper_kernel<kPass, T, kColumns>,
         dim3(static_cast<unsigned>(row_tiles * product.column_tiles),
              static_cast<unsigned>(product.partial != nullptr ? product.parts : phases)),
         dim3(kHopperThreads), sizeof(typename HopperTile<T, kColumns>::Memory), context, product);
}

template <Pass kPass, class T>
void run_hopper(const HopperPlan& plan, const Conv2dSpec& s, const Igemm<kPass, T>& p, float* partial,
                const Context& context) {
  constexpr bool kInput = kPass == Pass::backward_input, kWeight = kPass == Pass::backward_weight;
  HopperProduct<kPass, T> product{};
  product.lines =
      kWeight ? make_map(s.dtype, p.b, MatrixMap{1, s.N * s.P * s.Q, s.K, kBoxLine})
              : make_map(s.dtype, p.b, MatrixMap{s.R * s.S, s.C, s.K, kInput ? plan.columns : kBoxLine});
  product.out = p.out, product.epilogue = p.epilogue, product.tally = p.tally;
  product.partial = plan.parts > 1 ? partial : nullptr;
  product.results = plan.results, product.parts = plan.parts, product.part_steps = plan.part_steps;
  product.columns = p.columns, product.column_tiles = static_cast<int>(ceil_div(p.columns, plan.columns));
  product.channels = static_cast<int>(kInput ? s.K : s.C);
  int64_t row_tiles = 0;
  for (int i = 0; i < p.phases; ++i) {
    const HopperPhase& phase = product.phase[i] = make_phase<kPass>(s, p.phase[i], p.a);
    const int64_t lines = phase.taps * ceil_div(product.channels, kBoxLine);
    row_tiles = std::max(row_tiles, ceil_div(kWeight ? lines * kBoxLine : phase.gather.pixels, kHopperRows));
  }
  const auto launch_tiles = [&]<int kColumns>() {
    launch_hopper<kColumns>(product, row_tiles, p.phases, context);
  };
  switch (plan.columns) {
    case kBoxLine:
      return launch_tiles.template operator()<kBoxLine>();
    case 2 * kBoxLine:
      return launch_tiles.template operator()<2 * kBoxLine>();
    default:
      launch_tiles.template operator()<4 * kBoxLine>();
  }
}

}  // namespace fc::cuda
