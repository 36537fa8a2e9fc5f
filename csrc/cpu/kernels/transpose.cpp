// transpose.cpp — permuted axes.
//
// Math       y[i[axes[0]], i[axes[1]], …] = x[i]
// Shapes     any rank; axes that stay neighbours are one
// Blocking   Where the last axis stays the last, runs are copied. Else squares of the two axes that are the
//            last of x and of y: 64 x 64 cells, which stay in L1, in squares of registers transposed there
// Threads    over runs or squares, one writer per cell
// Workspace  none
// Edges      the rims of a square are copied cell by cell; no cells: nothing
#include "cpu/simd/transpose.h"

#include <string.h>

#include "core/layout_spec.h"
#include "cpu/kernels/axes.h"
#include "cpu/kernels/table.h"

namespace fc::cpu::FC_ISA {
namespace {

constexpr int64_t kSquare = 64;

// to[b * to_step + a] = from[a * from_step + b] for a < rows, b < columns.
template <class T>
void transpose_square(const T* from, int64_t from_step, T* to, int64_t to_step, int64_t rows,
                      int64_t columns) {
  constexpr int64_t L = kLanes<T>;
  const int64_t whole_rows = rows - rows % L, whole_columns = columns - columns % L;
  for (int64_t a = 0; a < whole_rows; a += L) {
    for (int64_t b = 0; b < whole_columns; b += L) {
      Vec<T> cells[L];
      for (int64_t i = 0; i < L; ++i) cells[i] = load(from + (a + i) * from_step + b);
      transpose<T>(cells);
      for (int64_t i = 0; i < L; ++i) store(to + (b + i) * to_step + a, cells[i]);
    }
  }
  for (int64_t b = 0; b < columns; ++b) {
    for (int64_t a = b < whole_columns ? whole_rows : 0; a < rows; ++a)
      to[b * to_step + a] = from[a * from_step + b];
  }
}

template <class T>
void transpose_squares(const Axes<2>& axes, const T* x, T* y, int threads) {
  int last = 1;  // where x's last axis lies among y's; y's own last axis is 0
  while (axes.stride[last][0] != 1) ++last;
  Axes<2> outer;
  for (int i = 1; i < axes.rank; ++i) {
    if (i != last) outer.append(axes.extent[i], {axes.stride[i][0], axes.stride[i][1]});
  }
  const int64_t rows = axes.extent[0], columns = axes.extent[last];
  const int64_t row_step = axes.stride[0][0], column_step = axes.stride[last][1];
  const int64_t row_squares = ceil_div(rows, kSquare), column_squares = ceil_div(columns, kSquare);
  const int64_t squares = row_squares * column_squares;
  const int64_t per_square = min_of(rows, kSquare) * min_of(columns, kSquare);
  parallel_blocks(threads_for(axes.count(), threads), outer.count() * squares, rows_per_block(per_square),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t i = begin; i < end; ++i) {
                      const int64_t index = i / squares, square = i - index * squares;
                      const int64_t a = square / column_squares * kSquare;
                      const int64_t b = square % column_squares * kSquare;
                      int64_t offset[2];
                      outer.locate(index, 0, offset);
                      transpose_square(x + offset[0] + a * row_step + b, row_step,
                                       y + offset[1] + b * column_step + a, column_step,
                                       min_of(kSquare, rows - a), min_of(kSquare, columns - b));
                    }
                  });
}

template <class T>
void transpose_axes(const TransposeSpec& spec, const T* x, T* y, const Context& context) {
  Axes<2> axes;
  int64_t y_step = 1;
  for (int64_t k = static_cast<int64_t>(spec.axes.size()) - 1; k >= 0; --k) {
    const int64_t axis = spec.axes.data()[k], extent = spec.y_shape.data()[k];
    int64_t x_step = 1;
    for (int64_t i = axis + 1; i < static_cast<int64_t>(spec.x_shape.size()); ++i)
      x_step *= spec.x_shape.data()[i];
    if (extent != 1) axes.append(extent, {x_step, y_step});
    y_step *= extent;
  }
  if (y_step == 0) return;
  if (axes.rank == 0) axes.append(1, {1, 1});
  if (axes.stride[0][0] != 1) return transpose_squares(axes, x, y, context.threads);
  for_each_stretch(axes, context.threads, [&](const int64_t (&offset)[2], int64_t n) {
    memcpy(y + offset[1], x + offset[0], static_cast<size_t>(n) * sizeof(T));
  });
}

}  // namespace

void add_transpose(KernelTable& table) {
  FC_ADD(table, transpose_axes);
}

}  // namespace fc::cpu::FC_ISA
