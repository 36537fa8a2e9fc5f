// conv2d_forward.cu — 2-D cross-correlation.
//
// Math       y[n,p,q,k] = act((v − mean[k])·scale[k] + shift[k] + residual[n,p,q,k])
//            v = bias[k] + Σ_{r,s,c} x[n, p·sh−pt+r·dh, q·sw−pl+s·dw, c] · w[r,s,c,k]
// Shapes     x (N,H,W,C)  w (R,S,C/g,K)  bias, mean, scale, shift (K)  residual, y (N,P,Q,K) C-contiguous;
//            all but x, w and y may be null, mean and scale together
// Grid/Block a product of pixels and filters, see igemm_kernel.cuh; which tiles: conv2d_plan.h. Few
//            channels: conv2d_first_forward.cu; depthwise: conv2d_depthwise.cu; narrow groups:
//            conv2d_direct.cu; float32 of many channels: conv2d_winograd.cu
// Numerics   float32 sums, ascending in (r,s,c); then epilogue.cuh; one rounding at the store. What
//            belongs to a filter (bias to shift) is float32 for every T
// Workspace  conv2d_forward_workspace(spec) bytes: a float32 y per part where the depth is cut
// Edges      an empty batch launches nothing; cells outside the image: igemm_kernel.cuh
#include "cuda/kernels/conv2d.h"
#include "cuda/kernels/conv2d_depthwise.h"
#include "cuda/kernels/conv2d_plan.h"
#include "cuda/kernels/conv2d_winograd.h"
#include "cuda/table.h"

namespace fc::cuda {

template <class T>
size_t conv2d_forward_workspace(const Conv2dSpec& s, int) {
  const bool winograd = std::is_same_v<T, float> && suits_winograd(s, Pass::forward);
  return winograd ? winograd_workspace(s, Pass::forward) : product_workspace<Pass::forward, T>(s);
}

template <class T>
TallyParts conv2d_forward_product(const Conv2dSpec& s, const Igemm<Pass::forward, T>& product,
                                  const Context& context) {
  return run_product(s, product, context);
}

template <class T>
TallyParts conv2d_forward_tallied(const Conv2dSpec& s, const T* x, const T* w, const Epilogue<T>& epilogue,
                                  const Tally<T>& tally, T* y, const Context& context) {
  if (suits_depthwise(s) && aligned_for_packs(x, w) && epilogue.aligned(y)) {
    depthwise_forward(s, x, w, epilogue, y, context);
    return {};
  }
  if (suits_direct(s)) {
    direct_forward(s, x, w, epilogue, y, context);
    return {};
  }
  if (suits_first(s) && epilogue.aligned(y)) {
    first_forward(s, takes_tensor_cores<T>(s, s.R * s.S * s.C), x, w, epilogue, y, context);
    return {};
  }
  if constexpr (std::is_same_v<T, float>) {
    if (suits_winograd(s, Pass::forward)) {
      winograd_forward(s, x, w, epilogue, y, context);
      return {};
    }
  }
  Igemm<Pass::forward, T> product = forward_product(s, x, w, epilogue, y);
  product.tally = tally;
  return conv2d_forward_product(s, product, context);
}

template <class T>
void conv2d_forward(const Conv2dSpec& s, const T* x, const T* w, const float* bias, const float* mean,
                    const float* scale, const float* shift, const T* residual, T* y, const Context& context) {
  Epilogue<T> epilogue;
  epilogue.bias = bias, epilogue.mean = mean, epilogue.scale = scale, epilogue.shift = shift;
  epilogue.addend = residual, epilogue.activation = Activated(s.activation);
  conv2d_forward_tallied(s, x, w, epilogue, {}, y, context);
}

template size_t conv2d_forward_workspace<float>(const Conv2dSpec&, int);
template size_t conv2d_forward_workspace<half>(const Conv2dSpec&, int);
template size_t conv2d_forward_workspace<bfloat16>(const Conv2dSpec&, int);
template TallyParts conv2d_forward_product(const Conv2dSpec&, const Igemm<Pass::forward, float>&,
                                           const Context&);
template TallyParts conv2d_forward_product(const Conv2dSpec&, const Igemm<Pass::forward, half>&,
                                           const Context&);
template TallyParts conv2d_forward_product(const Conv2dSpec&, const Igemm<Pass::forward, bfloat16>&,
                                           const Context&);
template TallyParts conv2d_forward_tallied(const Conv2dSpec&, const float*, const float*,
                                           const Epilogue<float>&, const Tally<float>&, float*,
                                           const Context&);
template TallyParts conv2d_forward_tallied(const Conv2dSpec&, const half*, const half*, const Epilogue<half>&,
                                           const Tally<half>&, half*, const Context&);
template TallyParts conv2d_forward_tallied(const Conv2dSpec&, const bfloat16*, const bfloat16*,
                                           const Epilogue<bfloat16>&, const Tally<bfloat16>&, bfloat16*,
                                           const Context&);
template void conv2d_forward(const Conv2dSpec&, const float*, const float*, const float*, const float*,
                             const float*, const float*, const float*, float*, const Context&);
template void conv2d_forward(const Conv2dSpec&, const half*, const half*, const float*, const float*,
                             const float*, const float*, const half*, half*, const Context&);
template void conv2d_forward(const Conv2dSpec&, const bfloat16*, const bfloat16*, const float*, const float*,
                             const float*, const float*, const bfloat16*, bfloat16*, const Context&);

void add_conv2d_forward(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, conv2d_forward);
}

}  // namespace fc::cuda
