// activation.cpp — elementwise activations and their gradients.
//
// Math       y = f(x);  dx = dy * f'(x), with f' from x (activation_backward) or from y (…_from_output)
// Shapes     any, all tensors alike, C-contiguous
// Blocking   one pass, a register at a time, in blocks that fit into L1; stream.h for what outgrows the
//            caches
// Threads    over blocks; elements are independent
// Numerics   simd/math.h; body and tail run the same vector code, so a result does not depend on its place
// Edges      NaN in x gives NaN in y; where relu and its kin are flat dx is 0 whatever dy is
#include "cpu/kernels/activation.h"

#include "core/elementwise_spec.h"
#include "cpu/kernels/table.h"
#include "cpu/kernels/work.h"
#include "cpu/parallel.h"
#include "cpu/simd/stream.h"

namespace fc::cpu::FC_ISA {
namespace {

// Nanoseconds per element, which decide when threads pay.
double cost(const Activation& activation) {
  switch (activation.kind) {
    case ActivationKind::linear:
    case ActivationKind::relu:
    case ActivationKind::relu6:
    case ActivationKind::leaky_relu:
    case ActivationKind::hard_sigmoid:
    case ActivationKind::hard_swish:
    case ActivationKind::threshold:
    case ActivationKind::clip:
    case ActivationKind::shrink:
    case ActivationKind::sparse_plus:
      return kCheapNs;
    default:
      return 0.3;
  }
}

template <class T, class F>
void run_activation(const F& f, const T* x, T* y, int64_t n, bool past_caches) {
  write_vectors(
      y, n, past_caches, [&](int64_t i, int64_t count) { return f.value(load_up_to(x + i, count)); }, x);
}

// dx = gradient(dy, saved), where saved is x or y
template <class T, class Gradient>
void run_gradient(const ActivationSpec& s, const T* dy, const T* saved, T* dx, const Context& context,
                  const Gradient& gradient) {
  const Crew threads = threads_for(s.n, context.threads, cost(s.activation));
  const bool past_caches = outgrows_caches<T>(s.n) && dx != dy && dx != saved;
  parallel_blocks(threads, s.n, kBlockElements, [&](int64_t begin, int64_t end) {
    write_vectors(
        dx + begin, end - begin, past_caches,
        [&](int64_t offset, int64_t count) {
          const int64_t i = begin + offset;
          return gradient(load_up_to(dy + i, count), load_up_to(saved + i, count));
        },
        dy + begin, saved + begin);
  });
}

template <class T>
void activation_forward(const ActivationSpec& s, const T* x, T* y, const Context& context) {
  const Crew threads = threads_for(s.n, context.threads, cost(s.activation));
  const bool past_caches = outgrows_caches<T>(s.n) && y != x;
  with_activation<T>(s.activation, [&](const auto& f) {
    parallel_blocks(threads, s.n, kBlockElements, [&](int64_t begin, int64_t end) {
      run_activation(f, x + begin, y + begin, end - begin, past_caches);
    });
  });
}

template <class T>
void activation_backward(const ActivationSpec& s, const T* dy, const T* x, T* dx, const Context& context) {
  with_activation<T>(s.activation, [&](const auto& f) {
    run_gradient(s, dy, x, dx, context, [&](Vec<T> g, Vec<T> v) { return f.gradient(g, v); });
  });
}

template <class T>
void activation_backward_from_output(const ActivationSpec& s, const T* dy, const T* y, T* dx,
                                     const Context& context) {
  with_activation<T>(s.activation, [&](const auto& f) {
    if constexpr (requires { f.gradient_from_output(Vec<T>{}, Vec<T>{}); }) {  // ops ask for no other kind
      run_gradient(s, dy, y, dx, context, [&](Vec<T> g, Vec<T> v) { return f.gradient_from_output(g, v); });
    }
  });
}

}  // namespace

template <class T>
void apply_activation(const Activation& activation, T* data, int64_t n) {
  with_activation<T>(activation, [&](const auto& f) { run_activation<T>(f, data, data, n, false); });
}
template void apply_activation<float>(const Activation&, float*, int64_t);
FC_F64(template void apply_activation<double>(const Activation&, double*, int64_t);)

void add_activation(KernelTable& table) {
  FC_ADD(table, activation_forward);
  FC_ADD(table, activation_backward);
  FC_ADD(table, activation_backward_from_output);
}

}  // namespace fc::cpu::FC_ISA
