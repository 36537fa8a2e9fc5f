// winograd_backward_weight.cpp — a convolution's weight gradient as a problem of winograd_weight.h.
//
// Shapes     as conv2d_backward_weight.cpp; 3x3 and 5x5, stride 1, no dilation, one group
#include "cpu/kernels/conv2d.h"
#include "cpu/kernels/winograd_weight.h"

namespace fc::cpu::FC_ISA {

size_t winograd_backward_weight_workspace(const Conv2dSpec& s, int threads) {
  return winograd_weight_workspace<float>({s, nullptr, nullptr, nullptr, nullptr}, threads);
}

bool winograd_backward_weight(const Conv2dSpec& s, const float* x, const float* dy, float* dw, float* dbias,
                              const Context& context) {
  const WinogradWeight<float> p{s, x, dy, dw, dbias};
  return s.R == 3 ? winograd_weight<float, 3>(p, context) : winograd_weight<float, 5>(p, context);
}

}  // namespace fc::cpu::FC_ISA
