// conv2d.h — the kernels of a 2-D convolution, as the table and each other see them.
#pragma once

#include "core/context.h"
#include "core/conv2d_spec.h"

namespace fc::cpu::FC_ISA {

template <class T>
void conv2d_forward(const Conv2dSpec& s, const T* x, const T* w, const T* bias, T* y, const Context& context);
template <class T>
size_t conv2d_forward_workspace(const Conv2dSpec& s, int threads);

template <class T>
void conv2d_backward_input(const Conv2dSpec& s, const T* dy, const T* w, const T* gate, T* dx,
                           const Context& context);
template <class T>
size_t conv2d_backward_input_workspace(const Conv2dSpec& s, int threads);

template <class T>
void conv2d_backward_weight(const Conv2dSpec& s, const T* x, const T* dy, T* dw, T* dbias,
                            const Context& context);
template <class T>
size_t conv2d_backward_weight_workspace(const Conv2dSpec& s, int threads);

// C/groups == 1: a vector of channels needs no sum over channels, so these have loops of their own.
inline bool is_depthwise(const Conv2dSpec& s) {
  return s.groups > 1 && s.groups == s.C;
}

template <class T>
void depthwise_forward(const Conv2dSpec& s, const T* x, const T* w, const T* bias, T* y,
                       const Context& context);
template <class T>
size_t depthwise_forward_workspace(const Conv2dSpec& s, int threads);

template <class T>
void depthwise_backward_input(const Conv2dSpec& s, const T* dy, const T* w, const T* gate, T* dx,
                              const Context& context);
template <class T>
size_t depthwise_backward_input_workspace(const Conv2dSpec& s, int threads);

template <class T>
void depthwise_backward_weight(const Conv2dSpec& s, const T* x, const T* dy, T* dw, T* dbias,
                               const Context& context);
template <class T>
size_t depthwise_backward_weight_workspace(const Conv2dSpec& s, int threads);

}  // namespace fc::cpu::FC_ISA
