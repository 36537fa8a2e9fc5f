// column_moments.cuh — mean and sum of squared deviations of every column of a (rows, width) matrix.
//
// Two passes, as column_sums.cuh's: moments of parts of the rows, and a warp or a block per column that
// merges them and gives finish(column, Moments) the total.
//
// Shared    12 KB: the moments that a block's threads give each other
// Registers three numbers per column and four packs of x in flight
// Numerics  A thread takes four rows at a time: their mean, then squares around it, merged into its own
//           moments (moments.cuh). Parts are merged in float64
// Workspace column_moments_bytes<T>(rows, width): three floats per part and folded column
// Edges     no rows: a count of 0. An infinite x makes its column's moments infinite or NaN
#pragma once

#include "cuda/device/column_sums.cuh"
#include "cuda/device/moments.cuh"

namespace fc::cuda {

// The moments of a thread's columns.
template <int kSize>
struct ThreadMoments {
  float origin[kSize] = {}, offset[kSize] = {}, squares[kSize] = {};
  int count = 0;

  template <class T, int kRows>
  __device__ __forceinline__ void add(const Items<T, kSize> (&rows)[kRows]) {
    constexpr float kWeight = 1.0f / kRows;
    const float share = static_cast<float>(kRows) / static_cast<float>(count + kRows);
    const float spread = static_cast<float>(count) * share;
#pragma unroll
    for (int j = 0; j < kSize; ++j) {
      float d[kRows], mean = 0, around = 0;
      if (count == 0) {  // weighted before it is added: no overflow where the mean itself is representable
        float first = 0;
#pragma unroll
        for (int i = 0; i < kRows; ++i) first = fmaf(widen(rows[i].v[j]), kWeight, first);
        origin[j] = first;
      }
#pragma unroll
      for (int i = 0; i < kRows; ++i) {
        d[i] = widen(rows[i].v[j]) - origin[j];
        mean = fmaf(d[i], kWeight, mean);
      }
#pragma unroll
      for (int i = 0; i < kRows; ++i) around = fmaf(d[i] - mean, d[i] - mean, around);
      const float delta = mean - offset[j];
      offset[j] = fmaf(delta, share, offset[j]);
      squares[j] += fmaf(delta * delta, spread, around);
    }
    count += kRows;
  }
};

template <int kSize, class T>
__global__ void __launch_bounds__(kColumnThreads) moments_kernel(Columns m, const T* x, float* partial) {
  const int64_t part = blockIdx.y;
  const ColumnWalk walk(m, part);
  ThreadMoments<kSize> own;
  walk_rows<kSize>(
      m, walk, [&](int64_t at) { return load_items<kSize>(x + at); },
      [&](const auto& rows, int64_t, int64_t) { own.add(rows); });

  float values[3 * kSize];
#pragma unroll
  for (int j = 0; j < kSize; ++j) {
    values[j] = own.origin[j];
    values[kSize + j] = own.offset[j];
    values[2 * kSize + j] = own.squares[j];
  }
  const auto rows = static_cast<int>(walk.end - part * m.part_rows);
  // Row y has by now what the rows y + i * stride of the part give.
  const auto count = [rows](int y, int stride) { return y < rows ? (rows - y + stride - 1) / stride : 0; };
  merge_block_rows(values, [&](float (&to)[3 * kSize], const float (&from)[3 * kSize], int half) {
    const int y = static_cast<int>(threadIdx.y), n = count(y, 2 * half), more = count(y + half, 2 * half);
    if (more == 0) return;
    const float share = static_cast<float>(more) / static_cast<float>(n + more);
#pragma unroll
    for (int j = 0; j < kSize; ++j) {
      OffsetMoments a{to[j], to[kSize + j], to[2 * kSize + j]};
      a.merge(static_cast<float>(n), {from[j], from[kSize + j], from[2 * kSize + j]}, share);
      to[kSize + j] = a.offset;
      to[2 * kSize + j] = a.squares;
    }
  });
  store_partial<3, kSize>(m, walk, part, values, partial);
}

// Moments of parts, each of part_rows folded rows, as at[part][3][folded column].
struct PartialMoments {
  Partials of;
  int64_t rows, folded_rows, part_rows;
};

template <class T, class Finish>
__global__ void __launch_bounds__(kTotalThreads)
    column_moments_kernel(PartialMoments m, const T* x, Finish finish) {
  const Partials& of = m.of;
  const int64_t c = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (c >= of.width) return;
  Moments own;
  const int64_t entries = of.parts << of.fold_bits;
#pragma unroll 4
  for (int64_t i = threadIdx.x; i < entries; i += blockDim.x) {
    const int64_t part = i >> of.fold_bits, fold = i - (part << of.fold_bits);
    const float* from = of.at + part * 3 * of.folded_width + fold * of.width + c;
    const int64_t rest = m.folded_rows - part * m.part_rows, n = rest < m.part_rows ? rest : m.part_rows;
    own.merge({static_cast<double>(n), static_cast<double>(from[0]) + from[of.folded_width],
               from[2 * of.folded_width]});
  }
  const int64_t row = (m.folded_rows << of.fold_bits) + threadIdx.x;  // too few to be folded
  if (row < m.rows) own.merge({1, load(x + row * of.width + c), 0});
  const Moments all = blockDim.x == kWarp ? merge_lanes(own) : merge_block<kTotalThreads>(own);
  if (threadIdx.x == 0) finish(c, all);
}

// finish(column, Moments) for every column of x, whose rows make the parts.
template <class T, class Finish>
void merge_moments(const Context& context, const PartialMoments& m, const T* x, const Finish& finish) {
  const dim3 block = total_block(m.of.parts << m.of.fold_bits);
  launch(column_moments_kernel<T, Finish>, total_grid(m.of.width, block), block, 0, context, m, x, finish);
}

template <class T>
size_t column_moments_bytes(int64_t rows, int64_t width) {
  return column_sums_bytes<T, 3>(rows, width);
}

template <class T, class Finish>
void column_moments(const Context& context, int64_t rows, int64_t width, const T* x, float* partial,
                    const Finish& finish) {
  constexpr int kSize = Pack<T>::kSize;
  const bool packs = aligned_for_packs(x);
  const Columns m = sum_columns_grid(rows, width, packs ? kSize : 1);
  launch(packs ? moments_kernel<kSize, T> : moments_kernel<1, T>, m.grid(), m.block(), 0, context, m, x,
         partial);
  const Partials parts{partial, m.parts, m.width, m.folded_width, m.fold_bits};
  merge_moments(context, {parts, m.rows, m.folded_rows, m.part_rows}, x, finish);
}

}  // namespace fc::cuda
