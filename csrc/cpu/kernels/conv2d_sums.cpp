// conv2d_sums.cpp — convolutions that sum up their results for the batch normalisation next to them.
//
// Math       as conv2d_forward.cpp, with the moments of y (batch_moments.h);
//            as conv2d_backward_input.cpp, with Σ dx and Σ dx·(normalized − batch_mean) (batch_norm_sums.h)
// Shapes     moments (2,K)   sums (2,C)   normalized (N,H,W,C): what the normalisation read   batch_mean (C)
// Blocking   AMX kernels gather in their epilogue (amx_gather.h), the others have a pass over the results
// Threads    as the convolution and the pass
// Numerics   amx_gather.h, or as batch_norm_training.cpp and batch_norm_backward.cpp
// Workspace  the larger of the convolution's and the pass's
// Edges      what is not finite takes the pass
// Source     Jung et al., Restructuring Batch Normalization to Accelerate CNN Training,
//            https://arxiv.org/abs/1807.01702
#include "cpu/kernels/batch_moments.h"
#include "cpu/kernels/batch_norm_sums.h"
#include "cpu/kernels/conv2d.h"
#include "cpu/kernels/workspace.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
bool gathers(const Conv2dSpec& s, Conv2dPass pass) {
  return kHasAmx && std::is_same_v<T, float> && s.N > 0 && s.groups == 1 &&
         (pass == Conv2dPass::forward || (s.stride_h == 1 && s.stride_w == 1)) &&
         conv2d_algorithm<T>(s, pass) == Conv2dAlgorithm::amx;
}

// Where only its workspace is of interest.
Gather some_gather() {
  static double sums;
  return {&sums};
}

// Σ and the means as wide as a folded row.
template <class T>
struct SumsWorkspace {
  double* sums;
  T* mean;
  size_t bytes;

  SumsWorkspace(int64_t rows, int64_t width, void* base) {
    WorkspaceCutter cutter(base);
    sums = cutter.take<double>(folded_sums_size<T>(rows, width, 2));
    mean = cutter.take<T>(folded<T>(rows, width).width);
    bytes = cutter.bytes();
  }
};

}  // namespace

template <class T>
size_t conv2d_forward_moments_workspace(const Conv2dSpec& s, int threads) {
  size_t bytes =
      either_workspace(conv2d_forward_workspace<T>(s, threads),
                       static_cast<size_t>(column_moments_size<T>(s.N * s.P * s.Q, s.K)) * sizeof(double));
  if constexpr (kHasAmx) {
    if (gathers<T>(s, Conv2dPass::forward))
      bytes = either_workspace(bytes, amx_conv2d_forward_workspace(s, threads, some_gather()));
  }
  return bytes;
}

template <class T>
void conv2d_forward_moments(const Conv2dSpec& s, const T* x, const T* w, const T* bias, T* y, double* moments,
                            const Context& context) {
  if constexpr (kHasAmx && std::is_same_v<T, float>) {
    if (gathers<T>(s, Conv2dPass::forward) &&
        amx_conv2d_forward(s, x, w, {bias, s.activation}, y, context, {moments}))
      return;
  }
  conv2d_forward<T>(s, x, w, bias, nullptr, nullptr, nullptr, nullptr, y, context);
  column_moments(s.N * s.P * s.Q, s.K, y, static_cast<double*>(context.workspace), moments, context.threads);
}

template <class T>
size_t conv2d_backward_input_sums_workspace(const Conv2dSpec& s, int threads) {
  size_t bytes = either_workspace(conv2d_backward_input_workspace<T>(s, threads),
                                  SumsWorkspace<T>(s.N * s.H * s.W, s.C, nullptr).bytes);
  if constexpr (kHasAmx) {
    if (gathers<T>(s, Conv2dPass::backward_input))
      bytes = either_workspace(bytes, amx_conv2d_backward_input_workspace(s, threads, some_gather()));
  }
  return bytes;
}

template <class T>
void conv2d_backward_input_sums(const Conv2dSpec& s, const T* dy, const T* w, const T* gate, const T* addend,
                                const T* normalized, const T* batch_mean, T* dx, double* sums,
                                const Context& context) {
  if constexpr (kHasAmx && std::is_same_v<T, float>) {
    const Epilogue<T> epilogue{nullptr, {}, {s.activation, gate, dx}, {}, {addend, dx}};
    if (gathers<T>(s, Conv2dPass::backward_input) &&
        amx_conv2d_backward_input(s, dy, w, epilogue, dx, context, {sums, normalized, dx, batch_mean}))
      return;
  }
  conv2d_backward_input(s, dy, w, gate, addend, dx, context);
  const int64_t rows = s.N * s.H * s.W;
  const SumsWorkspace<T> pass(rows, s.C, context.workspace);
  repeat_columns(batch_mean, s.C, folded<T>(rows, s.C).factor, pass.mean);
  sum_gradients(rows, s.C, AllOpen<T>{dx}, normalized, pass.mean, pass.sums,
                threads_for(rows * s.C, context.threads));
  for (int64_t i = 0; i < 2 * s.C; ++i) sums[i] = pass.sums[i];
}

#define FC_INSTANTIATE(T)                                                                                \
  template size_t conv2d_forward_moments_workspace<T>(const Conv2dSpec&, int);                           \
  template void conv2d_forward_moments<T>(const Conv2dSpec&, const T*, const T*, const T*, T*, double*,  \
                                          const Context&);                                               \
  template size_t conv2d_backward_input_sums_workspace<T>(const Conv2dSpec&, int);                       \
  template void conv2d_backward_input_sums<T>(const Conv2dSpec&, const T*, const T*, const T*, const T*, \
                                              const T*, const T*, T*, double*, const Context&);
FC_INSTANTIATE(float)
FC_F64(FC_INSTANTIATE(double))
#undef FC_INSTANTIATE

}  // namespace fc::cpu::FC_ISA
