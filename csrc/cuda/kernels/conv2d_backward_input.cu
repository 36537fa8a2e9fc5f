// conv2d_backward_input.cu — gradient of the input; also the forward pass of a transposed convolution.
//
// Math       dx[n,h,w,c] = Σ_{r,s,k} dy[n,p,q,k] · w[r,s,c,k]
//            over the (r,s) with h = p·sh−pt+r·dh and w = q·sw−pl+s·dw; then + addend, and the gate's map
//            (epilogue.cuh)
// Shapes     dy (N,P,Q,K)  w (R,S,C/g,K)  gate, addend (N,H,W,C) or null  dx (N,H,W,C)     C-contiguous
// Grid/Block a product of pixels and channels per phase (gather.cuh), four phases a launch.
//            Depthwise: conv2d_depthwise.cu; narrow groups: conv2d_direct.cu; float32 of many channels:
//            conv2d_winograd.cu
// Numerics   as conv2d_forward.cu, ascending in (r,s,k)
// Workspace  conv2d_backward_input_workspace(spec) bytes: a float32 dx per part where the depth is cut
// Edges      pixels that no tap reaches are sums of nothing: fill_unreached_kernel comes first
#include "cuda/kernels/conv2d.h"
#include "cuda/kernels/conv2d_depthwise.h"
#include "cuda/kernels/conv2d_plan.h"
#include "cuda/kernels/conv2d_winograd.h"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

template <class T>
__global__ void __launch_bounds__(256) fill_unreached_kernel(const Epilogue<T> epilogue, T* dx, int64_t n) {
  const int64_t i = global_thread();
  if (i >= n) return;
  float zero[1] = {0.0f};
  epilogue.template apply<1>(zero, 0, i);
  store(dx + i, zero[0]);
}

}  // namespace

template <class T>
size_t conv2d_backward_input_workspace(const Conv2dSpec& s, int) {
  const bool winograd = std::is_same_v<T, float> && suits_winograd(s, Pass::backward_input);
  return winograd ? winograd_workspace(s, Pass::backward_input)
                  : product_workspace<Pass::backward_input, T>(s);
}

template <class T>
TallyParts conv2d_backward_input_tallied(const Conv2dSpec& s, const T* dy, const T* w,
                                         const Epilogue<T>& epilogue, const Tally<T>& tally, T* dx,
                                         const Context& context) {
  if (s.N == 0) return {};
  if (suits_depthwise_input(s) && aligned_for_packs(dy, w) && epilogue.aligned(dx)) {
    depthwise_backward_input(s, dy, w, epilogue, dx, context);
    return {};
  }
  if (suits_direct(s)) {
    direct_backward_input(s, dy, w, epilogue, dx, context);
    return {};
  }
  if constexpr (std::is_same_v<T, float>) {
    if (suits_winograd(s, Pass::backward_input)) {
      winograd_backward_input(s, dy, w, epilogue, dx, context);
      return {};
    }
  }
  const bool all_reached = for_each_phase(s, [](const Gather&) {});
  if (!all_reached) {
    const int64_t n = s.N * s.H * s.W * s.C;
    launch(fill_unreached_kernel<T>, dim3(static_cast<unsigned>(ceil_div(n, 256))), dim3(256), 0, context,
           epilogue, dx, n);
  }
  Igemm<Pass::backward_input, T> product = backward_input_product(s, dy, w, epilogue, dx);
  // One launch has all results, or nothing is summed up.
  if (all_reached && s.stride_h * s.stride_w <= kPhasesPerLaunch) product.tally = tally;
  TallyParts parts;
  const auto run = [&] {
    if (product.phases > 0) parts = run_product(s, product, context);
    product.phases = 0;
  };
  for_each_phase(s, [&](const Gather& phase) {
    product.phase[product.phases++] = phase;
    if (product.phases == kPhasesPerLaunch) run();
  });
  run();
  return parts;
}

template <class T>
void conv2d_backward_input(const Conv2dSpec& s, const T* dy, const T* w, const T* gate, const T* addend,
                           T* dx, const Context& context) {
  Epilogue<T> epilogue;
  epilogue.addend = addend, epilogue.gate = gate, epilogue.gated = Activated(s.activation);
  conv2d_backward_input_tallied(s, dy, w, epilogue, {}, dx, context);
}

template size_t conv2d_backward_input_workspace<float>(const Conv2dSpec&, int);
template size_t conv2d_backward_input_workspace<half>(const Conv2dSpec&, int);
template size_t conv2d_backward_input_workspace<bfloat16>(const Conv2dSpec&, int);
template TallyParts conv2d_backward_input_tallied(const Conv2dSpec&, const float*, const float*,
                                                  const Epilogue<float>&, const Tally<float>&, float*,
                                                  const Context&);
template TallyParts conv2d_backward_input_tallied(const Conv2dSpec&, const half*, const half*,
                                                  const Epilogue<half>&, const Tally<half>&, half*,
                                                  const Context&);
template TallyParts conv2d_backward_input_tallied(const Conv2dSpec&, const bfloat16*, const bfloat16*,
                                                  const Epilogue<bfloat16>&, const Tally<bfloat16>&,
                                                  bfloat16*, const Context&);
template void conv2d_backward_input(const Conv2dSpec&, const float*, const float*, const float*, const float*,
                                    float*, const Context&);
template void conv2d_backward_input(const Conv2dSpec&, const half*, const half*, const half*, const half*,
                                    half*, const Context&);
template void conv2d_backward_input(const Conv2dSpec&, const bfloat16*, const bfloat16*, const bfloat16*,
                                    const bfloat16*, bfloat16*, const Context&);

void add_conv2d_backward_input(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, conv2d_backward_input);
}

}  // namespace fc::cuda
