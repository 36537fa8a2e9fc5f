// binary_forward.cu — add, subtract, multiply, maximum, minimum, divide with NumPy's broadcasting.
//
// Math       y = a (op) b
// Shapes     any that broadcast; axes that the strides of an operand allow to join are one
// Grid/Block broadcast.cuh: 16 bytes of y per thread
// Numerics   one operation per element, in float32
// Workspace  none
#include "core/elementwise_spec.h"
#include "cuda/device/broadcast.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

struct Arithmetic {
  BinaryKind kind;
  __device__ float operator()(float a, float b) const {
    switch (kind) {
      case BinaryKind::add:
        return a + b;
      case BinaryKind::subtract:
        return a - b;
      case BinaryKind::multiply:
        return a * b;
      case BinaryKind::maximum:
        return b == b ? (b > a ? b : a) : b;
      case BinaryKind::minimum:
        return b == b ? (b < a ? b : a) : b;
      case BinaryKind::divide:
        return a / b;
    }
    return a;
  }
};

template <class T>
void binary_forward(const BinarySpec& s, const T* a, const T* b, T* y, const Context& context) {
  int64_t n = 1;
  for (const int64_t extent : s.y_shape) n *= extent;
  combine(context, n, y, Arithmetic{s.kind}, Repeated<T>(a, s.a_shape, s.y_shape),
          Repeated<T>(b, s.b_shape, s.y_shape));
}

}  // namespace

void add_binary_forward(KernelTable& table) {
  FC_ADD(table, binary_forward);
}

}  // namespace fc::cuda
