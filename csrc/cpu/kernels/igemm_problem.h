// igemm_problem.h — a product of image rows and a matrix B, how it is cut, and the memory it needs.
#pragma once

#include "cpu/kernels/epilogue.h"
#include "cpu/kernels/igemm_filter.h"
#include "cpu/kernels/image_rows.h"

namespace fc::cpu::FC_ISA {

template <class T>
struct Igemm {
  ImageRows<T> rows;
  T* out;
  int64_t out_image, out_h, out_w;  // elements from one image, line and position of `rows` to the next
  int64_t groups, columns;
  Filter<T> filter;
  Epilogue<T> epilogue;

  int64_t filter_size() const { return groups * columns * rows.taps() * rows.depth(); }
  int64_t products() const { return rows.positions() * filter_size(); }
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
  bool packed_ahead;
  int64_t block, blocks, column_runs, taps, tap_step, offsets, depth_step;

  explicit IgemmBlocking(const Igemm<T>& p)
      : panels(p.columns),
        streamed(p.rows.positions() <= kStreamRows && !p.rows.has_edges() &&
                 p.filter.in_order(p.rows.taps(), p.rows.depth())) {
    const int64_t rows = p.rows.positions(), depth = p.rows.depth();
    if (streamed && rows == 1) panels = Panels<T>(p.columns, kStreamVectors);
    const int64_t wanted = tasks_for(p.products());
    const bool stays = p.filter_size() * static_cast<int64_t>(sizeof(T)) <= kPanelBytes;
    const int64_t least = stays ? kMinRowBlock : kLeastLongBlock;
    block = kRowBlock;
    while (block / 2 >= least && ceil_div(rows, block) * p.groups * panels.count < wanted) block /= 2;
    blocks = ceil_div(rows, block);
    block = round_up(ceil_div(rows, max_of(blocks, 1)), tile_rows(kTileVectors));
    packed_ahead = blocks > 1;
    const int64_t runs = max_of(ceil_div(kTasks, max_of(blocks * p.groups, 1)),
                                ceil_div(block * p.filter_size() / p.groups, kMostTaskProducts));
    column_runs = min_of(panels.count, streamed ? kStreamRuns : runs);
    const int64_t most = streamed ? kStreamDepth : panel_depth(kPanelBytes);
    offsets = ceil_div(depth, most);
    depth_step = ceil_div(depth, offsets);
    taps = p.rows.taps();
    tap_step = min_of(max_of(most / depth, 1), taps);
  }

  int64_t depth_blocks() const { return ceil_div(taps, tap_step) * offsets; }
};

// One thread's private memory.
template <class T>
struct IgemmScratch {
  const T** rows;
  const T** one_row;  // the pointers of a single position, one per tap
  T** out;
  T* strip;
  T* panel;

  IgemmScratch(const Igemm<T>& p, const IgemmBlocking<T>& k, WorkspaceCutter& cutter)
      : rows(cutter.take<const T*>(p.rows.taps() * k.block)),
        one_row(cutter.take<const T*>(p.rows.one_by_one().taps())),
        out(cutter.take<T*>(k.block)),
        strip(cutter.take<T>(p.rows.strip_size(k.block))),
        panel(cutter.take<T>(k.packed_ahead ? 0 : k.tap_step * k.depth_step * k.panels.most_width())) {}
};

template <class T>
struct IgemmWorkspace {
  T* zeros;
  PackedFilter<T> packed;
  SlotWorkspace slots;

  IgemmWorkspace(const Igemm<T>& p, const IgemmBlocking<T>& k, int threads, void* base)
      : IgemmWorkspace(p, k, threads, WorkspaceCutter(base)) {}

 private:
  IgemmWorkspace(const Igemm<T>& p, const IgemmBlocking<T>& k, int threads, WorkspaceCutter cutter)
      : zeros(cutter.take<T>(p.rows.depth())),
        packed(k.panels, k.packed_ahead ? p.groups : 0, p.rows.taps(), p.rows.depth(), cutter) {
    WorkspaceCutter one(nullptr);
    IgemmScratch<T>(p, k, one);
    slots = SlotWorkspace(cutter, one.bytes(), threads);
  }
};

}  // namespace fc::cpu::FC_ISA
