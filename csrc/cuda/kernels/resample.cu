// resample.cu — images in another size, by taps: short weighted sums of rows and columns.
//
// Math       y[n,p,q,c] = Σ_s v(q,s) Σ_r u(p,r) x[n,r,s,c]; u and v: core/resample_axis.h, forward or back
// Shapes     x (N,H,W,C)  y (N,P,Q,C), each the other way round for the gradient
// Grid/Block tables: a thread per row and column of y writes its taps, for a captured graph can read no table
//            of the host's; then a block per row of y and stretch of it, a thread per number
// Shared memory none: the taps of a row are one address for a block, rows of x are read again from L1
// Registers  no spills
// Numerics   weights in float64, rounded to float32; products added in ascending order by fma, rows first:
//            the bits of csrc/cpu where that has fma
// Workspace  the tables: first and count, then weights, of every row and column
// Edges      an empty batch launches nothing
// Source     core/resample_axis.h
#include "core/resample_spec.h"
#include "cuda/device/divider.cuh"
#include "cuda/device/storage.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kMostBlocks = 1 << 20;  // blocks walk on from there

// The taps of the cells of one axis of y, `most` places for each.
struct Lines {
  ResampleAxis axis;
  bool transposed = false;
  int cells = 0, most = 0;
  int *first = nullptr, *count = nullptr;
  float* weights = nullptr;
};

// Not inlined: the many branches would take more registers than there are.
__device__ __noinline__ double raw_weight(const ResampleAxis& axis, int64_t i, int64_t j) {
  return axis.raw_weight(i, j);
}

// The first cell of the result whose reach ends behind, or begins behind, cell h of the source: both grow.
template <bool kEnd>
__device__ int64_t first_beyond(const ResampleAxis& axis, int64_t h) {
  int64_t low = 0, high = axis.out;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    const ResampleAxis::Range r = axis.reach(middle);
    const bool beyond = kEnd ? axis.inside(r.last) >= h : axis.inside(r.first) > h;
    (beyond ? high : low) = beyond ? middle : middle + 1;
  }
  return low;
}

__device__ void write_line(const Lines& lines, int i) {
  const auto raw = [&](int64_t at, int64_t cell) { return raw_weight(lines.axis, at, cell); };
  float* weights = lines.weights + int64_t{i} * lines.most;
  for (int t = 0; t < lines.most; ++t) weights[t] = 0.0f;
  int64_t first = -1, last = -1;
  const auto put = [&](int64_t cell, double weight) {
    if (weight == 0) return;
    if (first < 0) first = cell;
    last = cell;
    weights[cell - first] = static_cast<float>(static_cast<double>(weights[cell - first]) + weight);
  };
  if (!lines.transposed) {
    int64_t waiting = -1;  // weights of one cell are added in float64
    double total = 0;
    lines.axis.each_weight(i, raw, [&](int64_t cell, double weight) {
      if (cell != waiting && waiting >= 0) put(waiting, total);
      total = cell == waiting ? total + weight : weight;
      waiting = cell;
    });
    put(waiting, total);
  } else {
    const int64_t end = first_beyond<false>(lines.axis, i);
    for (int64_t p = first_beyond<true>(lines.axis, i); p < end; ++p) {
      double total = 0;
      lines.axis.each_weight(p, raw, [&](int64_t cell, double weight) { total += cell == i ? weight : 0.0; });
      put(p, total);
    }
  }
  lines.first[i] = first < 0 ? 0 : static_cast<int>(first);
  lines.count[i] = first < 0 ? 0 : static_cast<int>(last - first + 1);
}

__global__ void __launch_bounds__(kThreads)
    resample_tables(const __grid_constant__ Lines rows, const __grid_constant__ Lines columns) {
  const auto i = static_cast<int>(global_thread());
  if (i < rows.cells) {
    write_line(rows, i);
  } else if (i < rows.cells + columns.cells) {
    write_line(columns, i - rows.cells);
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    resample_kernel(const T* x, T* y, const __grid_constant__ Lines rows,
                    const __grid_constant__ Lines columns, Divider by_channels, int64_t all_rows, int height,
                    int width) {
  const auto C = static_cast<int>(by_channels.divisor);
  const int result = columns.cells * C;
  for (int64_t row = blockIdx.x; row < all_rows; row += gridDim.x) {
    const auto n = row / rows.cells;
    const auto p = static_cast<int>(row - n * rows.cells);
    const int row_taps = rows.count[p];
    const float* u = rows.weights + int64_t{p} * rows.most;
    const T* source = x + (n * height + rows.first[p]) * width;
    for (int64_t at = int64_t{blockIdx.y} * kThreads + threadIdx.x; at < result;
         at += int64_t{gridDim.y} * kThreads) {
      auto c = static_cast<int>(at);
      const int q = by_channels.divide(c);
      const int column_taps = columns.count[q];
      const float* v = columns.weights + int64_t{q} * columns.most;
      const T* from = source + int64_t{columns.first[q]} * C + c;
      float total = 0.0f;
      for (int s = 0; s < column_taps; ++s) {
        float sum = 0.0f;
        for (int r = 0; r < row_taps; ++r) {
          const float value = load(from + int64_t{r} * width + int64_t{s} * C);
          sum = r == 0 ? u[r] * value : fmaf(u[r], value, sum);
        }
        total = s == 0 ? v[s] * sum : fmaf(v[s], sum, total);
      }
      store(y + row * result + at, total);
    }
  }
}

// Cuts the workspace; with none, `bytes` alone is meant.
struct Tables {
  Lines lines[2];
  size_t bytes = 0;

  Tables(const ResampleSpec& s, void* workspace) {
    auto* base = static_cast<unsigned char*>(workspace);
    for (int i = 0; i < 2; ++i) {
      const Taps& taps = s.taps[static_cast<size_t>(i)];
      const size_t cells = taps.first.size(), most = static_cast<size_t>(taps.most);
      Lines& l = lines[i];
      l.axis = s.axes[static_cast<size_t>(i)], l.transposed = s.transposed;
      l.cells = static_cast<int>(cells), l.most = static_cast<int>(most);
      const size_t begin = bytes;
      bytes += cells * (2 * sizeof(int) + most * sizeof(float));
      if (workspace == nullptr) continue;
      l.first = reinterpret_cast<int*>(base + begin);
      l.count = l.first + cells;
      l.weights = reinterpret_cast<float*>(l.count + cells);
    }
  }
};

template <class T>
size_t resample_workspace(const ResampleSpec& s, int) {
  return Tables(s, nullptr).bytes;
}

template <class T>
void resample(const ResampleSpec& s, const T* x, T* y, const Context& context) {
  if (s.N == 0) return;
  const Tables tables(s, context.workspace);
  const Lines &rows = tables.lines[0], &columns = tables.lines[1];
  launch(resample_tables, dim3(static_cast<unsigned>(ceil_div(rows.cells + columns.cells, kThreads))),
         dim3(kThreads), 0, context, rows, columns);
  const int64_t all_rows = s.N * rows.cells;
  const int64_t stretches = ceil_div(columns.cells * s.C, kThreads);
  const auto height = static_cast<int>(s.transposed ? s.P : s.H);
  const auto width = static_cast<int>((s.transposed ? s.Q : s.W) * s.C);
  launch(resample_kernel<T>,
         dim3(static_cast<unsigned>(std::min(all_rows, kMostBlocks)),
              static_cast<unsigned>(std::min(stretches, int64_t{1024}))),
         dim3(kThreads), 0, context, x, y, rows, columns, Divider(s.C), all_rows, height, width);
}

}  // namespace

void add_resample(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, resample);
}

}  // namespace fc::cuda
