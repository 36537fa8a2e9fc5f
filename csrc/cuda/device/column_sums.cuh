// column_sums.cuh — K sums per column of a (rows, width) matrix, in a fixed order.
//
// Two passes: parts of the rows are summed by blocks of threads that walk down columns (columns.cuh), then a
// warp or a block per column adds the parts and gives the totals to `finish`. One pass over memory; where the
// terms also write something that needs no sum, that is done on the way.
//
// Terms     kWide; struct Loaded; struct PerColumn;  Loaded load(at, count);  PerColumn columns(ColumnIds);
//           add(Loaded, PerColumn, at, count, float (&sums)[K][kWide])  adds the terms of `count` neighbours
// Finish    operator()(column, const double (&totals)[K]), called once per column
// Grid      shape alone decides it, and with it the order of the sums
// Numerics  a thread sums up to some hundred rows in float32, a block a tree of these, parts in float64
// Workspace column_sums_bytes<T, K>(rows, width), enough for packs and for single elements
#pragma once

#include "cuda/device/columns.cuh"
#include "cuda/device/reduce.cuh"

namespace fc::cuda {

inline constexpr unsigned kWarpsPerBlock = 8;  // of the pass that adds parts, a column each
inline constexpr int64_t kSumBlocks = 512;     // enough to fill a large device
inline constexpr int64_t kSumRows = 128;       // of a thread: what is summed in float32 without a tree

inline Columns sum_columns_grid(int64_t rows, int64_t width, int wide) {
  return Columns(rows, width, wide, kSumRows, kSumBlocks);
}

template <class T, int K>
size_t column_sums_bytes(int64_t rows, int64_t width) {
  int64_t most = 0;
  for (const int wide : {1, Pack<T>::kSize}) {
    const Columns m = sum_columns_grid(rows, width, wide);
    most = std::max(most, m.parts * m.folded_width);
  }
  return static_cast<size_t>(most) * K * sizeof(float);
}

// A thread's values of its columns, to partial[part][k][folded column].
template <int K, int kSize>
__device__ __forceinline__ void store_partial(const Columns& m, const ColumnWalk& walk, int64_t part,
                                              const float (&values)[K * kSize], float* partial) {
  if (!walk.active || threadIdx.y != 0) return;
#pragma unroll
  for (int k = 0; k < K; ++k) {
    float* to = partial + (part * K + k) * m.folded_width + walk.pack * kSize;
    constexpr int kStore = kSize < 4 ? kSize : 4;
#pragma unroll
    for (int j = 0; j < kSize; j += kStore) {
      Items<float, kStore> some;
#pragma unroll
      for (int i = 0; i < kStore; ++i) some.v[i] = values[k * kSize + j + i];
      store_items(to + j, some);
    }
  }
}

template <int K, class Terms>
__global__ void __launch_bounds__(kColumnThreads, 2)
    column_partials_kernel(Columns m, Terms terms, float* partial) {
  constexpr int kSize = Terms::kWide;
  const int64_t part = blockIdx.y;
  const ColumnWalk walk(m, part);
  float sums[K * kSize] = {};
  if (walk.active) {
    const typename Terms::PerColumn columns = terms.columns(ColumnIds<kSize>(m, walk));
    auto& by_term = reinterpret_cast<float (&)[K][kSize]>(sums);
    walk_rows<kSize>(
        m, walk, [&](int64_t at) { return terms.load(at, kSize); },
        [&](const auto& loaded, int64_t at, int64_t step) {
#pragma unroll
          for (const auto& row : loaded) {
            terms.add(row, columns, at, kSize, by_term);
            at += step;
          }
        });
    const TailPack tail(m, walk, kSize);
    if (tail.count > 0) {
      terms.add(terms.load(tail.at, tail.count), columns, tail.at, tail.count, by_term);
    }
  }
  merge_block_rows(sums, [](float (&own)[K* kSize], const float (&other)[K* kSize], int) {
#pragma unroll
    for (int i = 0; i < K * kSize; ++i) own[i] += other[i];
  });
  store_partial<K, kSize>(m, walk, part, sums, partial);
}

// Sums of parts, as at[part][k][folded column]; a folded row is 2^fold_bits rows.
struct Partials {
  const float* at;
  int64_t parts, width, folded_width;
  int fold_bits;
};

inline constexpr unsigned kTotalThreads = kWarp * kWarpsPerBlock;

// Who adds up the `entries` of a column: a warp; a block where they are so many that a warp's lanes would
// wait for memory again and again. Blocks of one as of the other go over `width` columns.
inline dim3 total_block(int64_t entries) {
  constexpr int64_t kManyEntries = 1024;
  return entries < kManyEntries ? dim3(kWarp, kWarpsPerBlock) : dim3(kTotalThreads, 1);
}
inline dim3 total_grid(int64_t width, dim3 block) {
  return dim3(static_cast<unsigned>(ceil_div(width, block.y)));
}

template <int K, class Finish>
__global__ void __launch_bounds__(kTotalThreads) column_totals_kernel(Partials m, Finish finish) {
  const int64_t column = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (column >= m.width) return;
  double totals[K] = {};
  const int64_t entries = m.parts << m.fold_bits;
#pragma unroll 4
  for (int64_t i = threadIdx.x; i < entries; i += blockDim.x) {
    const int64_t part = i >> m.fold_bits, fold = i - (part << m.fold_bits);
#pragma unroll
    for (int k = 0; k < K; ++k) {
      totals[k] += m.at[(part * K + k) * m.folded_width + fold * m.width + column];
    }
  }
#pragma unroll
  for (int k = 0; k < K; ++k) {
    totals[k] = blockDim.x == kWarp ? lane_sum(totals[k]) : block_sum<kTotalThreads>(totals[k]);
  }
  if (threadIdx.x == 0) finish(column, totals);
}

// finish(column, totals) for every column.
template <int K, class Finish>
void column_totals(const Context& context, const Partials& partials, const Finish& finish) {
  const dim3 block = total_block(partials.parts << partials.fold_bits);
  launch(column_totals_kernel<K, Finish>, total_grid(partials.width, block), block, 0, context, partials,
         finish);
}

// `partial` has column_sums_bytes<T, K>(); Terms::kWide is 1 or a pack.
template <int K, class Terms, class Finish>
void column_sums(const Context& context, int64_t rows, int64_t width, const Terms& terms, float* partial,
                 const Finish& finish) {
  const Columns m = sum_columns_grid(rows, width, Terms::kWide);
  launch(column_partials_kernel<K, Terms>, m.grid(), m.block(), 0, context, m, terms, partial);
  column_totals<K>(context, Partials{partial, m.parts, m.width, m.folded_width, m.fold_bits}, finish);
}

}  // namespace fc::cuda
