// pool2d_window.cuh — which cells a pooling window covers, which windows cover a cell, and who does which.
//
// A thread owns kWide neighbouring channels of one cell or window. Extents of an axis are below 2^31; what
// is beyond 2^31 altogether is split over launches, so indices of threads are 32-bit, offsets 64-bit.
#pragma once

#include <algorithm>

#include "core/check.h"
#include "core/pool2d_spec.h"
#include "cuda/device/divider.cuh"
#include "cuda/device/items.cuh"

namespace fc::cuda {

inline constexpr int kPoolThreads = 256;

// Taps along one axis of a window that meet the image: [first, end), or the windows over a cell.
struct TapRange {
  int first, end;
};

// One axis of the problem.
struct PoolAxis {
  int extent, windows, taps, stride, dilation, pad, pad_after;
  Divider by_stride, by_dilation;

  PoolAxis(int64_t extent, int64_t windows, int64_t taps, int64_t stride_, int64_t dilation_, int64_t pad,
           int64_t pad_after)
      : extent(static_cast<int>(extent)),
        windows(static_cast<int>(windows)),
        taps(static_cast<int>(taps)),
        stride(windows == 1 ? 1 : static_cast<int>(stride_)),  // a step that is never taken may be huge
        dilation(taps == 1 ? 1 : static_cast<int>(dilation_)),
        pad(static_cast<int>(pad)),
        pad_after(static_cast<int>(pad_after)),
        by_stride(stride),
        by_dilation(dilation) {}

  __device__ __forceinline__ int start(int window) const { return window * stride - pad; }
  __device__ __forceinline__ bool holds(int cell) const {
    return static_cast<unsigned>(cell) < static_cast<unsigned>(extent);
  }
  __device__ __forceinline__ int nearest(int cell) const {
    return cell < 0 ? 0 : cell < extent ? cell : extent - 1;
  }

  // Of a window that starts at `start`, the taps in [0, limit).
  __device__ __forceinline__ TapRange taps_inside(int start, int limit) const {
    const int first = start < 0 ? by_dilation.quotient(-start + dilation - 1) : 0;
    const int last = start + (taps - 1) * dilation;
    const int end = last < limit ? taps : start < limit ? by_dilation.quotient(limit - 1 - start) + 1 : 0;
    return {first, end > first ? end : first};
  }
  // What a window counts in the divisor of an average: its real cells, or those of the padded image.
  __device__ __forceinline__ int counted(int window, bool with_pads) const {
    const TapRange t =
        taps_inside(start(window) + (with_pads ? pad : 0), with_pads ? extent + pad + pad_after : extent);
    return t.end - t.first;
  }
  // The windows that may cover a cell, ascending; of a dilated one, tap() says whether it does.
  __device__ __forceinline__ TapRange windows_over(int cell) const {
    const int to = cell + pad, from = to - (taps - 1) * dilation;
    const int first = from > 0 ? by_stride.quotient(from + stride - 1) : 0;
    const int end = by_stride.quotient(to) + 1;
    return {first, end < windows ? end : windows};
  }
  // The tap of the window that meets the cell, or -1 where the cell lies between two.
  __device__ __forceinline__ int tap(int window, int cell) const {
    const int distance = cell - start(window);
    if (dilation == 1) return distance;
    const int tap = by_dilation.quotient(distance);
    return tap * dilation == distance ? tap : -1;
  }
};

struct PoolShape {
  PoolAxis h, w;
  int64_t channels;
  Divider by_packs, by_columns, by_rows;  // of an index of threads over (n, row, column, pack)
  bool count_pads;

  // `rows` by `columns` of what is written: windows in the forward pass, cells in the backward pass.
  PoolShape(const Pool2dSpec& s, int64_t rows, int64_t columns, int64_t packs)
      : h(s.H, s.P, s.R, s.stride_h, s.dilation_h, s.pad_top, s.pad_bottom),
        w(s.W, s.Q, s.S, s.stride_w, s.dilation_w, s.pad_left, s.pad_right),
        channels(s.C),
        by_packs(packs),
        by_columns(columns),
        by_rows(rows),
        count_pads(s.count_include_pad) {}

  __device__ __forceinline__ int divisor(int p, int q) const {
    return h.counted(p, count_pads) * w.counted(q, count_pads);
  }
};

// The running thread's place; n counts from the first image of the launch.
template <int kWide>
struct PoolPlace {
  int n, row, column;
  int64_t channel;

  __device__ __forceinline__ PoolPlace(const PoolShape& g, unsigned thread) {
    int i = static_cast<int>(thread);
    int rest = g.by_packs.divide(i);
    channel = static_cast<int64_t>(i) * kWide;
    column = rest;
    rest = g.by_columns.divide(column);
    row = rest;
    n = g.by_rows.divide(row);
  }
};

// run(first image, threads) until all images are done, below 2^31 threads at a time.
template <class Run>
void for_image_groups(int64_t images, int64_t threads_per_image, const Run& run) {
  constexpr int64_t kMost = (int64_t{1} << 31) - 1;
  FC_CHECK(threads_per_image <= kMost, "[pool2d] an image must fit the kernel's indices: expected at most ",
           kMost, " cells per image, got ", threads_per_image, ". Cut the image into tiles.");
  const int64_t group = std::max<int64_t>(kMost / std::max<int64_t>(threads_per_image, 1), 1);
  for (int64_t n = 0; n < images; n += group) {
    run(n, static_cast<unsigned>(std::min(group, images - n) * threads_per_image));
  }
}

}  // namespace fc::cuda
