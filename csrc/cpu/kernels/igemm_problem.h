// igemm_problem.h — a product of image rows and a matrix B, how it is cut, and the memory it needs.
#pragma once

#include "cpu/kernels/epilogue.h"
#include "cpu/kernels/image_rows.h"
#include "cpu/kernels/workspace.h"

namespace fc::cpu::FC_ISA {

// How the columns of B are cut: whole vectors, in panels of at most `most`, as equal as can be.
template <class T>
struct Panels {
  int64_t columns, vectors, count;

  explicit Panels(int64_t columns, int64_t most = kTileVectors)
      : columns(columns), vectors(ceil_div(columns, kLanes<T>)), count(ceil_div(vectors, most)) {}

  Range vectors_of(int64_t panel) const { return part_of(vectors, count, panel); }
  int64_t column_of(int64_t panel) const { return min_of(vectors * panel / count * kLanes<T>, columns); }
  int64_t columns_of(int64_t panel) const { return column_of(panel + 1) - column_of(panel); }
};

// B (taps·depth rows, `columns` columns per group): plain with a row stride, or packed ahead by
// pack_transposed.
template <class T>
struct Filter {
  const T* b;
  int64_t stride;  // of a plain B, whose groups lie side by side; 0: packed, [group][panel][row][width]
};

template <class T>
struct Igemm {
  ImageRows<T> rows;
  T* out;
  int64_t out_image, out_h, out_w;  // elements from one image, line and position of `rows` to the next
  int64_t groups, columns;
  Filter<T> filter;
  Epilogue<T> epilogue;
};

// out[i]: where row first + i of a group begins.
template <class T>
inline void point_out(const Igemm<T>& p, int64_t first, int64_t count, int64_t group, T** out) {
  p.rows.for_each_segment(first, count, [&](int64_t n, int64_t i, Range j, int64_t at) {
    T* line = p.out + n * p.out_image + i * p.out_h + group * p.columns;
    for (int64_t q = j.begin; q < j.end; ++q) out[at++] = line + q * p.out_w;
  });
}

template <class T>
struct IgemmBlocking {
  Panels<T> panels;
  bool streamed;  // B is read in place, once: so few rows that packing it would cost more than the product
  int64_t block, blocks, column_runs, tap_step, depth_step;

  explicit IgemmBlocking(const Igemm<T>& p)
      : panels(p.columns),
        streamed(p.rows.positions() <= kTileRows && p.filter.stride != 0 && !p.rows.has_edges()) {
    const int64_t rows = p.rows.positions(), depth = p.rows.depth();
    if (streamed && rows == 1) panels = Panels<T>(p.columns, kStreamVectors);
    block = kRowBlock;
    while (block > kMinRowBlock && ceil_div(rows, block) * p.groups * panels.count < kTasks) block /= 2;
    blocks = ceil_div(rows, block);
    block = round_up(ceil_div(rows, max_of(blocks, 1)), kTileRows);
    const int64_t runs = streamed ? kStreamRuns : ceil_div(kTasks, max_of(blocks * p.groups, 1));
    column_runs = min_of(panels.count, runs);
    const int64_t most = streamed ? kStreamDepth : kPanelDepth;
    depth_step = ceil_div(depth, ceil_div(depth, most));
    tap_step = min_of(max_of(most / depth, 1), p.rows.taps());
  }
};

// One thread's private memory.
template <class T>
struct IgemmScratch {
  const T** rows;
  const T** one_row;  // the pointers of a single position, one per tap
  T** out;
  T* strip;
  T* panel;

  IgemmScratch(const Igemm<T>& p, int64_t block, WorkspaceCutter& cutter)
      : rows(cutter.take<const T*>(p.rows.taps() * block)),
        one_row(cutter.take<const T*>(p.rows.one_by_one().taps())),
        out(cutter.take<T*>(block)),
        strip(cutter.take<T>(p.rows.strip_size(block))),
        panel(cutter.take<T>(p.filter.stride ? kPanelDepth * kTileVectors * kLanes<T> : 0)) {}
};

template <class T>
struct IgemmWorkspace {
  T* zeros;
  SlotWorkspace slots;

  IgemmWorkspace(const Igemm<T>& p, int64_t block, int threads, void* base) : zeros(nullptr) {
    WorkspaceCutter cutter(base);
    zeros = cutter.take<T>(p.rows.depth());
    WorkspaceCutter one(nullptr);
    IgemmScratch<T>(p, block, one);
    slots = SlotWorkspace(cutter, one.bytes(), threads);
  }
};

}  // namespace fc::cpu::FC_ISA
