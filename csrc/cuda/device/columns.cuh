// columns.cuh — a (rows, width) matrix whose threads walk down columns, kWide neighbours each: 16 bytes of
// them, or one element where arrays are not aligned to that.
//
// What belongs to a column (a mean, a sum) stays in the registers of the threads that walk it. Where a pack
// does not end with the row, rows are folded: with 3 columns and packs of 4, four rows are one folded row of
// 12 elements, three whole packs, and element i of it belongs to column i % 3. So any width moves in packs.
//
// Grid      x: tiles of neighbouring packs, y: parts of the folded rows
// Block     x: packs of a tile, y: rows, a power of two; together at most 256 threads
// Edges     rows that are too few for a last folded row are its beginning: the tail
#pragma once

#include <algorithm>
#include <bit>

#include "cuda/device/items.cuh"

namespace fc::cuda {

inline constexpr int kColumnThreads = 256;
inline constexpr int kWalkRows = 4;  // rows that a thread loads before it uses the first

struct Columns {
  int64_t rows, width;
  int64_t folded_rows, folded_width;  // whole folded rows
  int64_t part_rows;                  // folded rows of a part
  int64_t packs;                      // of a folded row
  int64_t tail;                       // elements behind the last whole folded row
  int factor, fold_bits;              // rows in a folded row: 2^fold_bits
  unsigned tiles, parts, block_x, block_y;

  // Threads take kWalkRows to `rows_each` rows, as few as `blocks` blocks allow.
  Columns(int64_t rows, int64_t width, int pack, int64_t rows_each, int64_t blocks)
      : rows(rows), width(width) {
    constexpr int64_t kMostTilePacks = 64, kMostParts = 65535;
    factor = pack / static_cast<int>(std::min<int64_t>(width & -width, pack));
    fold_bits = std::countr_zero(static_cast<unsigned>(factor));
    folded_width = width * factor;
    folded_rows = rows / factor;
    packs = folded_width / pack;
    tail = rows % factor * width;
    const int64_t all_tiles = ceil_div(packs, kMostTilePacks);
    tiles = static_cast<unsigned>(all_tiles);
    block_x = static_cast<unsigned>(ceil_div(packs, all_tiles));
    block_y = std::bit_floor(static_cast<unsigned>(kColumnThreads) / block_x);
    const int64_t steps = std::max<int64_t>(ceil_div(folded_rows, block_y), 1);
    const int64_t wanted =
        std::clamp(ceil_div(steps, ceil_div(blocks, all_tiles)), int64_t{kWalkRows}, rows_each);
    const int64_t each = std::max(wanted, ceil_div(steps, kMostParts));
    part_rows = each * block_y;
    parts = static_cast<unsigned>(ceil_div(steps, each));
  }

  dim3 grid() const { return dim3(tiles, parts); }
  dim3 block() const { return dim3(block_x, block_y); }
};

// Where the running thread is: rows [row, end) in steps of the block's rows, one pack of columns.
struct ColumnWalk {
  int64_t row, end, pack;
  bool active, last;  // last: in the last part's first row of threads, which takes the tail as well

  __device__ ColumnWalk(const Columns& m, int64_t part) {
    pack = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    row = part * m.part_rows + threadIdx.y;
    end = (part + 1) * m.part_rows < m.folded_rows ? (part + 1) * m.part_rows : m.folded_rows;
    active = pack < m.packs;
    last = threadIdx.y == 0 && part + 1 == m.parts;
  }
};

// The columns of the running thread's pack.
template <int kSize>
struct ColumnIds {
  int64_t c[kSize];

  __device__ ColumnIds(const Columns& m, const ColumnWalk& walk) {
    int64_t column = m.factor == 1 ? walk.pack * kSize : walk.pack * kSize % m.width;
#pragma unroll
    for (int j = 0; j < kSize; ++j) {
      c[j] = column;
      column = column + 1 < m.width ? column + 1 : 0;
    }
  }
};

// The first `count` elements at p; the others are 0. All but tails know that count is kWide.
template <int kWide, class T>
__device__ __forceinline__ Items<T, kWide> load_first(const T* p, int count) {
  if (count == kWide) return load_items<kWide>(p);
  Items<T, kWide> items;
#pragma unroll
  for (int j = 0; j < kWide; ++j) items.v[j] = j < count ? p[j] : Narrow<T>::from(0.0f);
  return items;
}

template <int kWide, class T>
__device__ __forceinline__ void store_first(T* p, const Items<T, kWide>& items, int count) {
  if (count == kWide) return store_items(p, items);
#pragma unroll
  for (int j = 0; j < kWide; ++j) {
    if (j < count) p[j] = items.v[j];
  }
}

// load(at) for kWalkRows rows, then use(loaded, at, step of `at` from row to row): independent loads are in
// flight together. What remains of the rows comes one by one.
template <int kSize, class Load, class Use>
__device__ __forceinline__ void walk_rows(const Columns& m, const ColumnWalk& walk, const Load& load,
                                          const Use& use) {
  if (!walk.active) return;
  using Loaded = decltype(load(int64_t{}));
  const int64_t block_y = blockDim.y, step = block_y * m.folded_width;
  int64_t row = walk.row, at = row * m.folded_width + walk.pack * kSize;
  for (; row + (kWalkRows - 1) * block_y < walk.end; row += kWalkRows * block_y, at += kWalkRows * step) {
    Loaded loaded[kWalkRows];
#pragma unroll
    for (int i = 0; i < kWalkRows; ++i) loaded[i] = load(at + i * step);
    use(loaded, at, step);
  }
  for (; row < walk.end; row += block_y, at += step) {
    const Loaded loaded[1] = {load(at)};
    use(loaded, at, step);
  }
}

// The running thread's share of the tail: where it begins and how many elements of it there are.
struct TailPack {
  int64_t at;
  int count;

  __device__ TailPack(const Columns& m, const ColumnWalk& walk, int size) {
    const int64_t within = walk.pack * size, rest = m.tail - within;
    at = m.folded_rows * m.folded_width + within;
    count = !walk.last || rest <= 0 ? 0 : rest < size ? static_cast<int>(rest) : size;
  }
};

// The threads of a block with the same columns merge their values, rows y and y + half, half = block_y / 2,
// block_y / 4, ... 1: merge(own, other, half). Row 0 ends with the result.
template <int kValues, class Merge>
__device__ __forceinline__ void merge_block_rows(float (&own)[kValues], const Merge& merge) {
  constexpr int kSlots = kColumnThreads / 2;
  FC_SHARED(float[kValues][kSlots], given);
  for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
    const unsigned slot = (threadIdx.y & (half - 1)) * blockDim.x + threadIdx.x;
    if (threadIdx.y >= half && threadIdx.y < 2 * half) {
#pragma unroll
      for (int k = 0; k < kValues; ++k) given[k][slot] = own[k];
    }
    __syncthreads();
    if (threadIdx.y < half) {
      float other[kValues];
#pragma unroll
      for (int k = 0; k < kValues; ++k) other[k] = given[k][slot];
      merge(own, other, static_cast<int>(half));
    }
    __syncthreads();
  }
}

}  // namespace fc::cuda
