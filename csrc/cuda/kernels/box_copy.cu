// box_copy.cu — moves a box of cells from one array to another; fill writes one value everywhere.
//
// Math       y[y_start + i] = x[x_start + i] for every i in the box      fill: y = value
// Shapes     x, y of one rank; axes that lie whole in both arrays join the inner one, so a concatenation over
//            channels copies runs of channels and one over the batch copies one run
// Grid/Block box_copy: strided_copy.cuh; fill: map.cuh
// Workspace  none
// Edges      cells of y outside the box keep what they hold; an empty box writes nothing; a refused step
//            writes nothing
#include "core/elementwise_spec.h"
#include "cuda/device/map.cuh"
#include "cuda/device/strided_copy.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

template <class T>
void box_copy(const BoxSpec& s, const T* x, T* y, const Context& context) {
  Axes<2> axes;
  int64_t x_step = 1, y_step = 1;
  for (size_t i = s.extent.size(); i-- > 0;) {
    axes.append(s.extent[i], {x_step, y_step});
    x += s.x_start[i] * x_step;
    y += s.y_start[i] * y_step;
    x_step *= s.x_shape[i];
    y_step *= s.y_shape[i];
  }
  strided_copy(context, axes, x, y);
}

struct Constant {
  float v;
  __device__ float value(const float (&)[1], int64_t) const { return v; }
};

template <class T>
void fill(const FillSpec& s, T* y, const Context& context) {
  map(context, s.n, y, Constant{static_cast<float>(s.value)});
}

}  // namespace

void add_box_copy(KernelTable& table) {
  FC_ADD(table, box_copy);
  FC_ADD(table, fill);
}

}  // namespace fc::cuda
