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

template <class T>
inline Conv2dAlgorithm conv2d_algorithm(const Conv2dSpec& s, Conv2dPass) {
  return is_depthwise(s) ? Conv2dAlgorithm::depthwise : Conv2dAlgorithm::direct;
}

}  // namespace fc::cpu::FC_ISA
