// conv2d_pool.cu — a convolution of whose results only the maxima of windows of 2 x 2 are kept.
//
// Math       y[n,p,q,k] = max over i,j of what conv2d_forward.cu gives at (n, 2p+i, 2q+j, k), without a residual
//            index[n,p,q,k] = 2i + j of the cell that won
// Shapes     x (N,H,W,C)  w (R,S,C/g,K)  bias, mean, scale, shift (K)  y, index (N,P/2,Q/2,K) C-contiguous; all
//            but x, w and y may be null, mean and scale together
// Grid/Block the convolution's, whose rows are pixels window by window (gather.cuh, patch.cuh), or whose tiles
//            have whole windows (conv2d_winograd.cu): a quarter of the results goes to memory, and nobody reads
//            them again. Where a kernel cannot (Hopper's, whose pixels come as the image has them; depthwise
//            and narrow groups; a depth that is cut; activations but relu, which are much code), the two one
//            after the other
// Numerics   bit by bit those of conv2d_forward.cu and pool2d_forward.cu
// Workspace  the convolution's, or that and its results
// Edges      a last line or column that fills no window is left out; NaN as in pool2d_forward.cu
#include "core/conv2d_pool_spec.h"
#include "cuda/kernels/conv2d.h"
#include "cuda/kernels/conv2d_depthwise.h"
#include "cuda/kernels/conv2d_plan.h"
#include "cuda/kernels/conv2d_winograd.h"
#include "cuda/kernels/pool2d.h"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

enum class Way { first, winograd, product, one_after_the_other };

template <class T>
Way way_of(const Conv2dSpec& s) {
  Epilogue<T> epilogue;
  epilogue.activation = Activated(s.activation);
  if (!epilogue.plain()) return Way::one_after_the_other;
  if (suits_depthwise(s) || suits_direct(s)) return Way::one_after_the_other;
  if (suits_first(s)) return Way::first;
  if (std::is_same_v<T, float> && suits_winograd(s, Pass::forward)) return Way::winograd;
  if (kHopperBuilt && capability() == kHopperCapability && suits_hopper<Pass::forward, T>(s))
    return Way::one_after_the_other;
  const ProductPlan plan = plan_product<Pass::forward, T>(s, capability() >= kTensorCapability);
  return plan.split.parts > 1 ? Way::one_after_the_other : Way::product;
}

// The results of a convolution, behind which its own workspace begins.
template <class T>
size_t results_bytes(const Conv2dSpec& s) {
  return (sizeof(T) * s.N * s.P * s.Q * s.K + 255) / 256 * 256;
}

template <class T>
void one_after_the_other(const Conv2dPoolSpec& s, const T* x, const T* w, const Epilogue<T>& epilogue, T* y,
                         uint8_t* index, const Context& context) {
  T* const results = static_cast<T*>(context.workspace);
  Context inner = context;
  inner.workspace = static_cast<unsigned char*>(context.workspace) + results_bytes<T>(s.conv);
  conv2d_forward_tallied(s.conv, x, w, epilogue, {}, results, inner);
  pool2d_forward<T>(s.pool, results, y, index, context);
}

}  // namespace

template <class T>
size_t conv2d_pool_forward_workspace(const Conv2dPoolSpec& s, int threads) {
  const size_t conv = conv2d_forward_workspace<T>(s.conv, threads);
  const Way way = way_of<T>(s.conv);
  if (way == Way::one_after_the_other) return results_bytes<T>(s.conv) + conv;
  return way == Way::winograd ? conv : 0;
}

template <class T>
void conv2d_pool_forward(const Conv2dPoolSpec& s, const T* x, const T* w, const float* bias,
                         const float* mean, const float* scale, const float* shift, T* y, uint8_t* index,
                         const Context& context) {
  if (s.conv.N == 0) return;
  Epilogue<T> epilogue;
  epilogue.bias = bias, epilogue.mean = mean, epilogue.scale = scale, epilogue.shift = shift;
  epilogue.activation = Activated(s.conv.activation);
  const Way way = way_of<T>(s.conv);
  if (way == Way::one_after_the_other) return one_after_the_other(s, x, w, epilogue, y, index, context);
  constexpr uintptr_t kIndices = 16 / sizeof(T);  // of a chunk of y
  const bool aligned = epilogue.aligned(y) && reinterpret_cast<uintptr_t>(index) % kIndices == 0;
  if (way == Way::first && aligned) {
    const bool tensor_cores = takes_tensor_cores<T>(s.conv, s.conv.R * s.conv.S * s.conv.C);
    return first_forward_pooled(s.conv, tensor_cores, x, w, epilogue, y, index, context);
  }
  if constexpr (std::is_same_v<T, float>) {
    if (way == Way::winograd) return winograd_forward_pooled(s.conv, x, w, epilogue, y, index, context);
  }
  Igemm<Pass::forward, T> product = forward_product(s.conv, x, w, epilogue, y);
  product.phase[0] = window_gather(s.conv);
  product.chunks_out = product.chunks_out && aligned;
  product.index = index;
  conv2d_forward_product(s.conv, product, context);
}

void add_conv2d_pool(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, conv2d_pool_forward);
}

}  // namespace fc::cuda
