// conv2d_algorithm.h — which algorithm computes a convolution: the one place that decides.
//
// A choice depends on the spec and the ISA alone, never on the number of threads.
#pragma once

#include <type_traits>

#include "core/conv2d_spec.h"

namespace fc::cpu::FC_ISA {

enum class Conv2dPass { forward, backward_input, backward_weight };

// C/groups == 1: a vector of channels needs no sum over channels, so these have loops of their own.
inline bool is_depthwise(const Conv2dSpec& s) {
  return s.groups > 1 && s.groups == s.C;
}

// Winograd's transforms have six points a side, so results and taps come to seven together: 4 and 3, 2 and 5.
template <class T>
inline bool winograd_can(const Conv2dSpec& s) {
  return std::is_same_v<T, float> && s.numerics.precision == Precision::fast && s.groups == 1 && s.R == s.S &&
         (s.R == 3 || s.R == 5) && s.stride_h == 1 && s.stride_w == 1 && s.dilation_h == 1 &&
         s.dilation_w == 1;
}

// Transforms cost as much as products of 16 channels, and a ragged image wastes part of its last tiles.
inline bool winograd_weight_pays(const Conv2dSpec& s) {
  const int64_t edge = 7 - s.R, tiles = (s.P + edge - 1) / edge * ((s.Q + edge - 1) / edge);
  return s.R == 3 && s.C >= 16 && s.K >= 16 && s.N * tiles >= 16 && 2 * s.P * s.Q >= tiles * edge * edge;
}

template <class T>
inline Conv2dAlgorithm conv2d_algorithm(const Conv2dSpec& s, Conv2dPass pass) {
  if (is_depthwise(s)) return Conv2dAlgorithm::depthwise;
  if (pass == Conv2dPass::backward_weight && winograd_can<T>(s) &&
      s.numerics.preferred != Conv2dAlgorithm::direct &&
      (s.numerics.preferred == Conv2dAlgorithm::winograd || winograd_weight_pays(s))) {
    return Conv2dAlgorithm::winograd;
  }
  return Conv2dAlgorithm::direct;
}

}  // namespace fc::cpu::FC_ISA
