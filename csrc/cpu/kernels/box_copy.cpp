// box_copy.cpp — moves a box of cells from one array to another; fill writes one value everywhere.
//
// Math       y[y_start + i] = x[x_start + i] for every i in the box      fill: y = value
// Shapes     x, y of one rank; axes that lie whole in both arrays join the inner one, so a concatenation over
//            channels copies runs of channels and one over the batch copies one run
// Threads    over runs, one writer per cell
// Workspace  none
// Edges      cells of y outside the box keep what they hold; an empty box writes nothing
#include <string.h>

#include "core/elementwise_spec.h"
#include "cpu/kernels/axes.h"
#include "cpu/kernels/table.h"
#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
void box_copy(const BoxSpec& spec, const T* x, T* y, const Context& context) {
  Axes<2> axes;
  int64_t x_step = 1, y_step = 1;
  for (int64_t i = static_cast<int64_t>(spec.extent.size()) - 1; i >= 0; --i) {
    axes.append(spec.extent.data()[i], {x_step, y_step});
    x += spec.x_start.data()[i] * x_step;
    y += spec.y_start.data()[i] * y_step;
    x_step *= spec.x_shape.data()[i];
    y_step *= spec.y_shape.data()[i];
  }
  if (axes.rank == 0) axes.append(1, {1, 1});
  for_each_stretch(axes, context.threads, [&](const int64_t (&offset)[2], int64_t n) {
    memcpy(y + offset[1], x + offset[0], static_cast<size_t>(n) * sizeof(T));
  });
}

template <class T>
void fill(const FillSpec& spec, T* y, const Context& context) {
  const Vec<T> value = broadcast(static_cast<T>(spec.value));
  parallel_blocks(
      threads_for(spec.n, context.threads), spec.n, kBlockElements, [&](int64_t begin, int64_t end) {
        for_each_vector<T>(end - begin,
                           [&](int64_t i, int64_t count) { store_up_to(y + begin + i, value, count); });
      });
}

}  // namespace

void add_box_copy(KernelTable& table) {
  FC_ADD(table, box_copy);
  FC_ADD(table, fill);
}

}  // namespace fc::cpu::FC_ISA
