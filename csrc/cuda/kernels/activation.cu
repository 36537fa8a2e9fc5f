// activation.cu — elementwise activations and their gradients.
//
// Math       y = f(x);  dx = dy * f'(x), with f' from x (activation_backward) or from y (…_from_output)
// Shapes     any, all tensors alike, C-contiguous
// Grid/Block map.cuh: 16 bytes per thread
// Numerics   float32 inside, device/activation.cuh
// Edges      NaN in x gives NaN in y; where relu and its kin are flat dx is 0 whatever dy is
#include "core/elementwise_spec.h"
#include "cuda/device/activation.cuh"
#include "cuda/device/map.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

struct Forward {
  Activated f;
  __device__ float value(const float (&v)[1], int64_t) const { return activate(f, v[0]); }
};
struct Backward {
  Activated f;
  __device__ float value(const float (&v)[2], int64_t) const { return activation_gradient(f, v[0], v[1]); }
};
struct BackwardFromOutput {
  Activated f;
  __device__ float value(const float (&v)[2], int64_t) const {
    return activation_gradient_from_output(f, v[0], v[1]);
  }
};

template <class T>
void activation_forward(const ActivationSpec& s, const T* x, T* y, const Context& context) {
  map(context, s.n, y, Forward{Activated(s.activation)}, x);
}

template <class T>
void activation_backward(const ActivationSpec& s, const T* dy, const T* x, T* dx, const Context& context) {
  map(context, s.n, dx, Backward{Activated(s.activation)}, dy, x);
}

template <class T>
void activation_backward_from_output(const ActivationSpec& s, const T* dy, const T* y, T* dx,
                                     const Context& context) {
  map(context, s.n, dx, BackwardFromOutput{Activated(s.activation)}, dy, y);
}

}  // namespace

void add_activation(KernelTable& table) {
  FC_ADD(table, activation_forward);
  FC_ADD(table, activation_backward);
  FC_ADD(table, activation_backward_from_output);
}

}  // namespace fc::cuda
