// conv2d.h — the kernels of a 2-D convolution, as the table and each other see them.
#pragma once

#include "core/context.h"
#include "core/conv2d_spec.h"
#include "cpu/kernels/conv2d_algorithm.h"
#include "cpu/kernels/epilogue.h"

namespace fc::cpu::FC_ISA {

template <class T>
void conv2d_forward(const Conv2dSpec& s, const T* x, const T* w, const T* bias, const T* mean, const T* scale,
                    const T* shift, const T* residual, T* y, const Context& context);
template <class T>
size_t conv2d_forward_workspace(const Conv2dSpec& s, int threads);

template <class T>
void conv2d_backward_input(const Conv2dSpec& s, const T* dy, const T* w, const T* gate, const T* addend,
                           T* dx, const Context& context);
template <class T>
size_t conv2d_backward_input_workspace(const Conv2dSpec& s, int threads);

// conv2d_forward of x, w and bias, and its results' moments (batch_moments.h).
template <class T>
void conv2d_forward_moments(const Conv2dSpec& s, const T* x, const T* w, const T* bias, T* y, double* moments,
                            const Context& context);
template <class T>
size_t conv2d_forward_moments_workspace(const Conv2dSpec& s, int threads);

// conv2d_backward_input, and the sums (batch_norm_sums.h) for the batch normalisation that made x.
template <class T>
void conv2d_backward_input_sums(const Conv2dSpec& s, const T* dy, const T* w, const T* gate, const T* addend,
                                const T* normalized, const T* batch_mean, T* dx, double* sums,
                                const Context& context);
template <class T>
size_t conv2d_backward_input_sums_workspace(const Conv2dSpec& s, int threads);

template <class T>
void conv2d_backward_weight(const Conv2dSpec& s, const T* x, const T* dy, T* dw, T* dbias,
                            const Context& context);
template <class T>
size_t conv2d_backward_weight_workspace(const Conv2dSpec& s, int threads);

template <class T>
void depthwise_forward(const Conv2dSpec& s, const T* x, const T* w, const Epilogue<T>& epilogue, T* y,
                       const Context& context);
template <class T>
size_t depthwise_forward_workspace(const Conv2dSpec& s, int threads);

template <class T>
void depthwise_backward_input(const Conv2dSpec& s, const T* dy, const T* w, const Epilogue<T>& epilogue,
                              T* dx, const Context& context);
template <class T>
size_t depthwise_backward_input_workspace(const Conv2dSpec& s, int threads);

template <class T>
void depthwise_backward_weight(const Conv2dSpec& s, const T* x, const T* dy, T* dw, T* dbias,
                               const Context& context);
template <class T>
size_t depthwise_backward_weight_workspace(const Conv2dSpec& s, int threads);

// Where conv2d_algorithm says lines. False where the direct kernel has to do it, because of what is not
// finite.
template <class T>
bool lines_forward(const Conv2dSpec& s, const T* x, const T* w, const Epilogue<T>& epilogue, T* y,
                   const Context& context);
template <class T>
size_t lines_forward_workspace(const Conv2dSpec& s, int threads);
template <class T>
bool lines_backward_weight(const Conv2dSpec& s, const T* x, const T* dy, T* dw, T* dbias,
                           const Context& context);
template <class T>
size_t lines_backward_weight_workspace(const Conv2dSpec& s, int threads);

// Where conv2d_algorithm says col2im.
void col2im_backward_input(const Conv2dSpec& s, const float* dy, const float* w,
                           const Epilogue<float>& epilogue, float* dx, const Context& context);
size_t col2im_backward_input_workspace(const Conv2dSpec& s, int threads);

// Where conv2d_algorithm says winograd; false as above.
bool winograd_forward(const Conv2dSpec& s, const float* x, const float* w, const Epilogue<float>& epilogue,
                      float* y, const Context& context);
size_t winograd_forward_workspace(const Conv2dSpec& s, int threads);
bool winograd_backward_input(const Conv2dSpec& s, const float* dy, const float* w,
                             const Epilogue<float>& epilogue, float* dx, const Context& context);
size_t winograd_backward_input_workspace(const Conv2dSpec& s, int threads);
// False if something is not finite: dw and dbias are then not to be used.
bool winograd_backward_weight(const Conv2dSpec& s, const float* x, const float* dy, float* dw, float* dbias,
                              const Context& context);
size_t winograd_backward_weight_workspace(const Conv2dSpec& s, int threads);

// What the results of a convolution on AMX tiles are summed up to (amx_gather.h).
struct Gather {
  double* sums = nullptr;                                         // [2][columns]; null: nothing is wanted
  const float *x = nullptr, *results = nullptr, *mean = nullptr;  // x is laid out like the results

  bool wanted() const { return sums != nullptr; }
  bool moments() const { return x == nullptr; }
};

// Where conv2d_algorithm says amx. False, with undefined results, where the direct kernel must run instead:
// the operands hold infinities, NaN or numbers of 2^48 and more.
bool amx_conv2d_forward(const Conv2dSpec& s, const float* x, const float* w, const Epilogue<float>& epilogue,
                        float* y, const Context& context, const Gather& gather = {});
size_t amx_conv2d_forward_workspace(const Conv2dSpec& s, int threads, const Gather& gather = {});
bool amx_conv2d_backward_input(const Conv2dSpec& s, const float* dy, const float* w,
                               const Epilogue<float>& epilogue, float* dx, const Context& context,
                               const Gather& gather = {});
size_t amx_conv2d_backward_input_workspace(const Conv2dSpec& s, int threads, const Gather& gather = {});
bool amx_conv2d_backward_weight(const Conv2dSpec& s, const float* x, const float* dy, float* dw, float* dbias,
                                const Context& context);
size_t amx_conv2d_backward_weight_workspace(const Conv2dSpec& s, int threads);

}  // namespace fc::cpu::FC_ISA
