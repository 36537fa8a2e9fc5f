// column_sums.cuh — K sums per column of a (rows, width) matrix, in a fixed order.
//
// Two passes: parts of the rows are summed by blocks of threads that walk down columns (columns.cuh), then a
// warp per column adds the parts and gives the totals to `finish`. One pass over memory; where the terms also
// write something that needs no sum, that is done on the way.
//
// Terms     struct Loaded; struct PerColumn;  Loaded load(at, count);  PerColumn columns(ColumnIds);
//           add(Loaded, PerColumn, at, count, float (&sums)[K][pack])  adds the terms of `count` neighbours
// Finish    operator()(column, const double (&totals)[K]), called once per column
// Grid      shape alone decides it, and with it the order of the sums
// Numerics  a thread sums up to some hundred rows in float32, a block a tree of these, parts in float64
// Workspace column_sums_bytes<T, K>(rows, width)
#pragma once

#include "cuda/device/columns.cuh"
#include "cuda/device/reduce.cuh"

namespace fc::cuda {

inline constexpr unsigned kWarpsPerBlock = 8;  // of the pass that adds parts, a column each
inline constexpr int64_t kSumBlocks = 512;     // enough to fill a large device
inline constexpr int64_t kSumRows = 128;       // of a thread: what is summed in float32 without a tree

template <class T>
Columns sum_columns_grid(int64_t rows, int64_t width, bool packed) {
  return Columns(rows, width, Pack<T>::kSize, packed, kSumRows, kSumBlocks);
}

template <class T, int K>
size_t column_sums_bytes(int64_t rows, int64_t width) {
  const Columns m = sum_columns_grid<T>(rows, width, true);
  return static_cast<size_t>(m.parts) * K * static_cast<size_t>(m.folded_width) * sizeof(float);
}

// A thread's values of its columns, to partial[part][k][folded column].
template <int K, int kSize>
__device__ __forceinline__ void store_partial(const Columns& m, const ColumnWalk& walk, int64_t part,
                                              const float (&values)[K * kSize], float* partial) {
  if (!walk.active || threadIdx.y != 0) return;
#pragma unroll
  for (int k = 0; k < K; ++k) {
    auto* to = reinterpret_cast<Pack<float>*>(partial + (part * K + k) * m.folded_width + walk.pack * kSize);
#pragma unroll
    for (int j = 0; j < kSize; j += 4) {
      const float* v = values + k * kSize + j;
      to[j / 4] = {v[0], v[1], v[2], v[3]};
    }
  }
}

template <class T, int K, class Terms>
__global__ void __launch_bounds__(kColumnThreads)
    column_partials_kernel(Columns m, Terms terms, float* partial) {
  constexpr int kSize = Pack<T>::kSize;
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

// Sums of parts, as at[part][k][folded column].
struct Partials {
  const float* at;
  int64_t parts, width, folded_width;
  int factor;
};

template <int K, class Finish>
__global__ void __launch_bounds__(kWarp* kWarpsPerBlock) column_totals_kernel(Partials m, Finish finish) {
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kWarpsPerBlock + threadIdx.y;
  if (column >= m.width) return;
  double totals[K] = {};
  const int64_t entries = m.parts * m.factor;
#pragma unroll 4
  for (int64_t i = threadIdx.x; i < entries; i += kWarp) {
    const int64_t part = i / m.factor, fold = i % m.factor;
#pragma unroll
    for (int k = 0; k < K; ++k) {
      totals[k] += m.at[(part * K + k) * m.folded_width + fold * m.width + column];
    }
  }
#pragma unroll
  for (int k = 0; k < K; ++k) totals[k] = lane_sum(totals[k]);
  if (threadIdx.x == 0) finish(column, totals);
}

// finish(column, totals) for every column.
template <int K, class Finish>
void column_totals(const Context& context, const Partials& partials, const Finish& finish) {
  launch(column_totals_kernel<K, Finish>,
         dim3(static_cast<unsigned>(ceil_div(partials.width, kWarpsPerBlock))), dim3(kWarp, kWarpsPerBlock),
         0, context, partials, finish);
}

// `partial` has column_sums_bytes<T, K>(); `packed`: aligned_for_packs of the arrays that Terms reads and
// writes.
template <class T, int K, class Terms, class Finish>
void column_sums(const Context& context, int64_t rows, int64_t width, bool packed, const Terms& terms,
                 float* partial, const Finish& finish) {
  const Columns m = sum_columns_grid<T>(rows, width, packed);
  launch(column_partials_kernel<T, K, Terms>, m.grid(), m.block(), 0, context, m, terms, partial);
  column_totals<K>(context, Partials{partial, m.parts, m.width, m.folded_width, m.factor}, finish);
}

}  // namespace fc::cuda
