// strided_copy.cuh — cells that lie at other strides in the result.
//
// Grid/Block   a thread moves four units, 256 units apart, each the widest of 16, 8, 4 and 2 bytes that the
//              runs of cells are made of
// Edges        no cells: nothing; a refused step writes nothing
#pragma once

#include "cuda/device/axes.cuh"

namespace fc::cuda {

inline constexpr int kCopyThreads = 256, kCopyUnits = 4;

template <class Unit>
__global__ void __launch_bounds__(kCopyThreads)
    strided_copy_kernel(const Unit* x, Unit* y, const __grid_constant__ Axes<2> axes, int64_t n,
                        const int32_t* proceed) {
  if (proceed != nullptr && *proceed == 0) return;
  const int64_t first = int64_t{blockIdx.x} * kCopyThreads * kCopyUnits + threadIdx.x;
  Unit moved[kCopyUnits];
  int64_t to[kCopyUnits];
#pragma unroll
  for (int k = 0; k < kCopyUnits; ++k) {
    const int64_t i = first + k * kCopyThreads;
    if (i < n) {
      int64_t offset[2];
      axes.locate(i, offset);
      moved[k] = x[offset[0]];
      to[k] = offset[1];
    }
  }
#pragma unroll
  for (int k = 0; k < kCopyUnits; ++k) {
    if (first + k * kCopyThreads < n) y[to[k]] = moved[k];
  }
}

// Copies in units if the cells, of `cell` bytes each, come in runs of them.
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
  launch(strided_copy_kernel<Unit>, dim3(static_cast<unsigned>(ceil_div(n, kCopyThreads * kCopyUnits))),
         dim3(kCopyThreads), 0, context, static_cast<const Unit*>(x), static_cast<Unit*>(y), units, n,
         context.proceed);
  return true;
}

// The operands of `axes` are x and y.
template <class T>
void strided_copy(const Context& context, const Axes<2>& axes, const T* x, T* y) {
  if (axes.count() == 0) return;
  const auto copied_in = [&](auto unit) {
    return copy_in_units<decltype(unit)>(context, axes, sizeof(T), x, y);
  };
  static_cast<void>(copied_in(uint4()) || copied_in(uint64_t()) || copied_in(uint32_t()) ||
                    copied_in(uint16_t()));
}

}  // namespace fc::cuda
