// binary_forward.cpp — add, subtract, multiply, maximum, minimum, divide with NumPy's broadcasting.
//
// Math       y = a (op) b
// Shapes     any that broadcast; axes that the strides of y, a and b allow to join are one loop, so that
//            equal shapes, a scalar and a bias over the last axis become one or two axes
// Threads    over stretches of the innermost axis, one writer per element
// Numerics   one operation per element
// Workspace  none
// Edges      the last, shorter register of a stretch runs the same arithmetic
#include "cpu/kernels/binary.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
void binary_forward(const BinarySpec& spec, const T* a, const T* b, T* y, const Context& context) {
  Axes<3> axes;
  for_each_axis(spec, [&](int64_t extent, const int64_t (&strides)[3]) { axes.append(extent, strides); });
  if (axes.rank == 0) axes.append(1, {1, 1, 1});
  switch (spec.kind) {
    case BinaryKind::add:
      return apply_binary(axes, a, b, y, context.threads, Add());
    case BinaryKind::subtract:
      return apply_binary(axes, a, b, y, context.threads, Subtract());
    case BinaryKind::multiply:
      return apply_binary(axes, a, b, y, context.threads, Multiply());
    case BinaryKind::maximum:
      return apply_binary(axes, a, b, y, context.threads, Maximum());
    case BinaryKind::minimum:
      return apply_binary(axes, a, b, y, context.threads, Minimum());
    case BinaryKind::divide:
      return apply_binary(axes, a, b, y, context.threads, Divide());
  }
}

}  // namespace

void add_binary_forward(KernelTable& table) {
  FC_ADD(table, binary_forward);
}

}  // namespace fc::cpu::FC_ISA
