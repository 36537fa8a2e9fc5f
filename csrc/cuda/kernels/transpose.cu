// transpose.cu — permuted axes.
//
// Math       y[i[axes[0]], i[axes[1]], …] = x[i]
// Shapes     any rank; axes that stay neighbours are one
// Grid/Block Where the last axis stays the last: strided_copy.cuh. Else a block of 32 x 8 threads moves a
//            square of 32 x 32 cells of the two axes that are the last of x and of y
// Shared     the square, a column wider, so that neither direction meets a bank twice
// Workspace  none
// Edges      no cells: nothing
#include "core/layout_spec.h"
#include "cuda/device/storage.cuh"
#include "cuda/device/strided_copy.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

constexpr int kSquare = 32, kSquareRows = 8;

struct Squares {
  int64_t rows, columns;          // of the last axis of y and of that of x
  int64_t row_step, column_step;  // in x and in y
  unsigned across, count;         // squares side by side, and of one matrix
};

template <class T>
__global__ void __launch_bounds__(kSquare* kSquareRows)
    transpose_kernel(const T* x, T* y, Squares s, const __grid_constant__ Axes<2> outer) {
  FC_SHARED(T[kSquare * (kSquare + 1)], cells);
  const unsigned index = blockIdx.x / s.count, square = blockIdx.x - index * s.count;
  const int64_t first_row = int64_t{square / s.across} * kSquare;
  const int64_t first_column = int64_t{square % s.across} * kSquare;
  int64_t offset[2];
  outer.locate(index, offset);
  for (int j = static_cast<int>(threadIdx.y); j < kSquare; j += kSquareRows) {
    const int64_t row = first_row + j, column = first_column + threadIdx.x;
    if (row < s.rows && column < s.columns) {
      cells[j * (kSquare + 1) + threadIdx.x] = x[offset[0] + row * s.row_step + column];
    }
  }
  __syncthreads();
  for (int j = static_cast<int>(threadIdx.y); j < kSquare; j += kSquareRows) {
    const int64_t row = first_row + threadIdx.x, column = first_column + j;
    if (row < s.rows && column < s.columns) {
      y[offset[1] + column * s.column_step + row] = cells[threadIdx.x * (kSquare + 1) + j];
    }
  }
}

template <class T>
void transpose_squares(const Context& context, const Axes<2>& axes, const T* x, T* y) {
  int last = 1;  // where x's last axis lies among y's; y's own last axis is 0
  while (axes.stride[last][0] != 1) ++last;
  Axes<2> outer;
  for (int i = 1; i < axes.rank; ++i) {
    if (i != last) outer.append(axes.extent[i].divisor, {axes.stride[i][0], axes.stride[i][1]});
  }
  outer.prepare_division();
  Squares s;
  s.rows = axes.extent[0].divisor, s.columns = axes.extent[last].divisor;
  s.row_step = axes.stride[0][0], s.column_step = axes.stride[last][1];
  s.across = static_cast<unsigned>(ceil_div(s.columns, kSquare));
  s.count = static_cast<unsigned>(ceil_div(s.rows, kSquare)) * s.across;
  launch(transpose_kernel<T>, dim3(static_cast<unsigned>(outer.count() * s.count)),
         dim3(kSquare, kSquareRows), 0, context, x, y, s, outer);
}

template <class T>
void transpose_axes(const TransposeSpec& spec, const T* x, T* y, const Context& context) {
  Axes<2> axes;
  int64_t y_step = 1;
  for (size_t k = spec.axes.size(); k-- > 0;) {
    int64_t x_step = 1;
    for (size_t i = static_cast<size_t>(spec.axes[k]) + 1; i < spec.x_shape.size(); ++i)
      x_step *= spec.x_shape[i];
    axes.append(spec.y_shape[k], {x_step, y_step});
    y_step *= spec.y_shape[k];
  }
  if (y_step == 0) return;
  if (axes.rank > 0 && axes.stride[0][0] != 1) {
    transpose_squares(context, axes, x, y);
  } else {
    strided_copy(context, axes, x, y);
  }
}

}  // namespace

void add_transpose(KernelTable& table) {
  FC_ADD(table, transpose_axes);
}

}  // namespace fc::cuda
