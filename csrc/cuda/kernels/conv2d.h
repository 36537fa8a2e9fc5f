// conv2d.h — the kernels of a 2-D convolution, as the table, dense layers and each other see them.
#pragma once

#include "core/context.h"
#include "core/conv2d_spec.h"
#include "core/gemm_spec.h"
#include "cuda/device/igemm.cuh"

namespace fc::cuda {

template <class T>
void conv2d_forward(const Conv2dSpec& s, const T* x, const T* w, const float* bias, const float* mean,
                    const float* scale, const float* shift, const T* residual, T* y, const Context& context);
template <class T>
void conv2d_backward_input(const Conv2dSpec& s, const T* dy, const T* w, const T* gate, const T* addend,
                           T* dx, const Context& context);
template <class T>
void conv2d_backward_weight(const Conv2dSpec& s, const T* x, const T* dy, float* dw, float* dbias,
                            const Context& context);

// The same with a tally of the results, whose partials may be the workspace. The kernels for first layers,
// depthwise and narrow groups, minimal filtering, and wherever place_tally() refuses, return no parts: a pass
// over the results is to follow.
template <class T>
TallyParts conv2d_forward_tallied(const Conv2dSpec& s, const T* x, const T* w, const Epilogue<T>& epilogue,
                                  const Tally<T>& tally, T* y, const Context& context);
template <class T>
TallyParts conv2d_backward_input_tallied(const Conv2dSpec& s, const T* dy, const T* w,
                                         const Epilogue<T>& epilogue, const Tally<T>& tally, T* dx,
                                         const Context& context);

template <class T>
size_t conv2d_forward_workspace(const Conv2dSpec& s, int threads);
template <class T>
size_t conv2d_backward_input_workspace(const Conv2dSpec& s, int threads);
template <class T>
size_t conv2d_backward_weight_workspace(const Conv2dSpec& s, int threads);

// The product of conv2d_forward, whose operands the caller has laid out; its kernels are compiled once, there.
template <class T>
TallyParts conv2d_forward_product(const Conv2dSpec& s, const Igemm<Pass::forward, T>& product,
                                  const Context& context);

// Where conv2d_plan.h says direct.
template <class T>
void direct_forward(const Conv2dSpec& s, const T* x, const T* w, const Epilogue<T>& epilogue, T* y,
                    const Context& context);
template <class T>
void direct_backward_input(const Conv2dSpec& s, const T* dy, const T* w, const Epilogue<T>& epilogue, T* dx,
                           const Context& context);
template <class T>
void direct_backward_weight(const Conv2dSpec& s, const T* x, const T* dy, float* dw, const Context& context);
size_t direct_backward_weight_workspace(const Conv2dSpec& s);

// A dense layer is a convolution of images of one pixel with one tap.
inline Conv2dSpec as_convolution(const GemmSpec& g) {
  Conv2dSpec s;
  s.dtype = g.dtype;
  s.N = g.M, s.C = g.K, s.K = g.N;
  s.H = s.W = s.P = s.Q = s.R = s.S = s.groups = 1;
  s.stride_h = s.stride_w = s.dilation_h = s.dilation_w = 1;
  s.pad_top = s.pad_bottom = s.pad_left = s.pad_right = 0;
  s.activation = g.activation;
  s.numerics = g.numerics;
  return s;
}

}  // namespace fc::cuda
