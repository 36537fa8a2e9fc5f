// rows.cuh — a (rows, width) matrix, each row with a group of threads: up to 32 lanes of a warp, or a block.
//
// A thread holds the items (packs, or elements where rows do not end with a pack) rank, rank + lanes, ... of
// the row in registers; only rows that are too long for that are read again, from L2.
//
// Block     x: the lanes of a group, y: groups, 256 threads together
// Edges     lanes behind the end of a row hold nothing; groups behind the last row take part in sums alone
#pragma once

#include <algorithm>
#include <bit>

#include "cuda/device/items.cuh"
#include "cuda/device/reduce.cuh"

namespace fc::cuda {

inline constexpr int kRowThreads = 256;

struct RowShape {
  int64_t rows, width, items;  // items of a row
  unsigned lanes, groups;      // threads of a row, rows of a block

  RowShape(int64_t rows, int64_t width, int wide) : rows(rows), width(width), items(width / wide) {
    lanes = static_cast<unsigned>(std::min<int64_t>(std::bit_ceil(static_cast<uint64_t>(items)), kWarp));
    if (items > kMostKept * kWarp) lanes = kRowThreads;
    groups = kRowThreads / lanes;
  }
  bool in_warp() const { return lanes <= kWarp; }
  bool fits() const { return kept() <= kMostKept; }        // into registers
  int64_t kept() const { return ceil_div(items, lanes); }  // items that a thread has to hold
  dim3 block() const { return dim3(lanes, groups); }

  static constexpr int64_t kMostKept = 4;
};

// Sum over the threads of a group; all threads of the block take part, and all of the group get it.
template <bool kInWarp>
__device__ __forceinline__ float group_sum(float v) {
  if constexpr (kInWarp) {
    for (unsigned distance = blockDim.x / 2; distance > 0; distance /= 2) {
      v += __shfl_xor_sync(0xffffffffu, v, static_cast<int>(distance));
    }
    return v;
  } else {
    return block_sum<kRowThreads>(v);
  }
}

// The running thread's part of a row. kKept = 0: nothing is held.
template <class T, int kWide, int kKept>
struct RowPart {
  const T* row;
  int64_t items;  // 0 where the group has no row
  Items<T, kWide> kept[kKept > 0 ? kKept : 1];

  __device__ __forceinline__ RowPart(const T* row, int64_t items) : row(row), items(items) {
#pragma unroll
    for (int i = 0; i < kKept; ++i) {
      const int64_t item = threadIdx.x + static_cast<int64_t>(i) * blockDim.x;
      if (item < items) kept[i] = load_items<kWide>(row + item * kWide);
    }
  }
};

// f(which of them, column of its first element, items of each part...) for the running thread's items.
template <class T, int kWide, int kKept, class F, class... More>
__device__ __forceinline__ void for_row_items(const F& f, const RowPart<T, kWide, kKept>& part,
                                              const More&... more) {
  if constexpr (kKept > 0) {
#pragma unroll
    for (int i = 0; i < kKept; ++i) {
      const int64_t item = threadIdx.x + static_cast<int64_t>(i) * blockDim.x;
      if (item < part.items) f(i, item * kWide, part.kept[i], more.kept[i]...);
    }
  } else {
#pragma unroll 4
    for (int64_t item = threadIdx.x; item < part.items; item += blockDim.x) {
      const int64_t c = item * kWide;
      f(0, c, load_items<kWide>(part.row + c), load_items<kWide>(more.row + c)...);
    }
  }
}

template <int kValue>
using Int = std::integral_constant<int, kValue>;

// run(Int<items in registers>, bool constant: in a warp).
template <class Run>
void for_row_shape(const RowShape& shape, const Run& run) {
  const int64_t kept = shape.kept();
  if (shape.in_warp()) {
    if (kept == 1) return run(Int<1>(), std::true_type());
    if (kept == 2) return run(Int<2>(), std::true_type());
    return run(Int<4>(), std::true_type());
  }
  if (shape.fits()) return run(Int<4>(), std::false_type());
  run(Int<0>(), std::false_type());
}

}  // namespace fc::cuda
