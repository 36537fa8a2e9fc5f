// box_copy.cu — moves a box of cells from one array to another; fill writes one value everywhere.
//
// Math       y[y_start + i] = x[x_start + i] for every i in the box      fill: y = value
// Shapes     x, y of one rank; axes that lie whole in both arrays join the inner one, so a concatenation over
//            channels copies runs of channels and one over the batch copies one run
// Grid/Block box_copy: a thread moves four units, 256 units apart, each the widest of 16, 8, 4 and 2 bytes
//            that the runs of the box are made of; fill: map.cuh
// Workspace  none
// Edges      cells of y outside the box keep what they hold; an empty box writes nothing; a refused step
//            writes nothing
#include "core/elementwise_spec.h"
#include "cuda/device/axes.cuh"
#include "cuda/device/map.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

constexpr int kThreads = 256, kUnits = 4;

template <class Unit>
__global__ void __launch_bounds__(kThreads)
    box_copy_kernel(const Unit* x, Unit* y, const __grid_constant__ Axes<2> axes, int64_t n,
                    const int32_t* proceed) {
  if (proceed != nullptr && *proceed == 0) return;
  const int64_t first = int64_t{blockIdx.x} * kThreads * kUnits + threadIdx.x;
  Unit moved[kUnits];
  int64_t to[kUnits];
#pragma unroll
  for (int k = 0; k < kUnits; ++k) {
    const int64_t i = first + k * kThreads;
    if (i < n) {
      int64_t offset[2];
      axes.locate(i, offset);
      moved[k] = x[offset[0]];
      to[k] = offset[1];
    }
  }
#pragma unroll
  for (int k = 0; k < kUnits; ++k) {
    if (first + k * kThreads < n) y[to[k]] = moved[k];
  }
}

// Copies in units if the box, whose cells have `cell` bytes, is made of them.
template <class Unit>
bool copy_in_units(const Context& context, const Axes<2>& cells, int64_t cell, const void* x, void* y) {
  const auto aligned = [](const void* p) { return reinterpret_cast<uintptr_t>(p) % sizeof(Unit) == 0; };
  const int64_t per_unit = static_cast<int64_t>(sizeof(Unit)) / cell;
  const bool runs = cells.rank > 0 && cells.stride[0][0] == 1 && cells.stride[0][1] == 1;
  const int64_t run = runs ? cells.inner_extent() : 1;
  if (per_unit == 0 || run % per_unit != 0 || !aligned(x) || !aligned(y)) return false;
  if (!cells.moves_by(per_unit, 0, runs) || !cells.moves_by(per_unit, 1, runs)) return false;
  Axes<2> units;
  units.append(run / per_unit, {1, 1});
  for (int i = runs; i < cells.rank; ++i) {
    units.append(cells.extent[i].divisor, {cells.stride[i][0] / per_unit, cells.stride[i][1] / per_unit});
  }
  units.prepare_division();
  const int64_t n = units.count();
  launch(box_copy_kernel<Unit>, dim3(static_cast<unsigned>(ceil_div(n, kThreads * kUnits))), dim3(kThreads),
         0, context, static_cast<const Unit*>(x), static_cast<Unit*>(y), units, n, context.proceed);
  return true;
}

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
  if (axes.count() == 0) return;
  const auto copied_in = [&](auto unit) {
    return copy_in_units<decltype(unit)>(context, axes, sizeof(T), x, y);
  };
  static_cast<void>(copied_in(uint4()) || copied_in(uint64_t()) || copied_in(uint32_t()) ||
                    copied_in(uint16_t()));
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
