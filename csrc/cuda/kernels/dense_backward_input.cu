// dense_backward_input.cu — gradient of a fully connected layer's input.
//
// Math       dx[m,k] = Σ_n dy[m,n] · w[k,n]; then the gate's map (epilogue.cuh)
// Shapes     dy (M,N)  w (K,N)  gate (M,K) or null  dx (M,K)     C-contiguous
// Grid/Block a convolution of one tap over images of one pixel: conv2d_backward_input.cu
// Workspace  that of the convolution
// Edges      an empty batch writes nothing
#include "cuda/kernels/conv2d.h"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

template <class T>
size_t dense_backward_input_workspace(const GemmSpec& s, int threads) {
  return conv2d_backward_input_workspace<T>(as_convolution(s), threads);
}

template <class T>
void dense_backward_input(const GemmSpec& s, const T* dy, const T* w, const T* gate, T* dx,
                          const Context& context) {
  const T* const none = nullptr;
  conv2d_backward_input(as_convolution(s), dy, w, gate, none, dx, context);
}

}  // namespace

void add_dense_backward_input(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, dense_backward_input);
}

}  // namespace fc::cuda
