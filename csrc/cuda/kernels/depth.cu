// depth.cu — the taps of a window along depth side by side in the channels, and their sum back again.
//
// Math       unfold: columns[n,p,m,(g,t,c)] = x[n, p·stride − before + t·dilation, m, (g,c)], 0 outside
//            fold:   x[n,d,m,(g,c)] = Σ_t columns[n,p,m,(g,t,c)] over the p with p·stride − before +
//                    t·dilation = d
// Shapes     x (N,D,M,C)   columns (N,P,M,taps·C), M pixels of a slice
// Grid/Block a thread for 16 bytes of the result, or for one cell where C/groups is not made of them
// Numerics   fold: in float32, t ascending
// Workspace  none
#include "core/layout_spec.h"
#include "cuda/device/divider.cuh"
#include "cuda/device/storage.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

constexpr int kThreads = 256;

// A DepthSpec in items of kSize channels, and divisions by its extents.
struct Depth {
  int64_t n, D, P, M, C, taps, stride, before, dilation, some;  // n: items of the result
  WideDivider by_width, by_pixels, by_slices, by_group, by_some;

  Depth(const DepthSpec& s, int64_t size, bool to_columns)
      : D(s.D),
        P(s.P),
        M(s.M),
        C(s.C / size),
        taps(s.window.kernel),
        stride(s.window.stride),
        before(s.window.pad_before),
        dilation(s.window.dilation),
        some(s.C / s.groups / size) {
    const int64_t width = to_columns ? taps * C : C, slices = to_columns ? P : D;
    n = s.N * slices * M * width;
    by_width = WideDivider(width, n);
    by_pixels = WideDivider(M, n);
    by_slices = WideDivider(slices, n);
    by_group = WideDivider(taps * some, n);
    by_some = WideDivider(some, n);
  }
};

// Where item i of the result lies: channel j of pixel m in slice `at` of sample n.
struct Place {
  int64_t n, at, m, j;
  __device__ Place(const Depth& s, int64_t i) {
    const int64_t row = s.by_width.quotient(i), slice = s.by_pixels.quotient(row);
    j = i - row * s.by_width.divisor;
    m = row - slice * s.M;
    n = s.by_slices.quotient(slice);
    at = slice - n * s.by_slices.divisor;
  }
};

template <class T, int kSize>
struct alignas(sizeof(T) * kSize) Cells {
  T v[kSize];
};

template <class T, int kSize>
__global__ void __launch_bounds__(kThreads)
    unfold_kernel(const __grid_constant__ Depth s, const Cells<T, kSize>* x, Cells<T, kSize>* columns) {
  const int64_t i = global_thread();
  if (i >= s.n) return;
  const Place place(s, i);
  const int64_t g = s.by_group.quotient(place.j), in_group = place.j - g * s.by_group.divisor;
  const int64_t t = s.by_some.quotient(in_group), c = in_group - t * s.some;
  const int64_t d = place.at * s.stride - s.before + t * s.dilation;
  Cells<T, kSize> cells;
  if (d >= 0 && d < s.D) {
    cells = x[((place.n * s.D + d) * s.M + place.m) * s.C + g * s.some + c];
  } else {
#pragma unroll
    for (int k = 0; k < kSize; ++k) cells.v[k] = Narrow<T>::from(0.0f);
  }
  columns[i] = cells;
}

template <class T, int kSize>
__global__ void __launch_bounds__(kThreads)
    fold_kernel(const __grid_constant__ Depth s, const Cells<T, kSize>* columns, Cells<T, kSize>* x) {
  const int64_t i = global_thread();
  if (i >= s.n) return;
  const Place place(s, i);
  const int64_t g = s.by_some.quotient(place.j), c = place.j - g * s.some;
  float sums[kSize] = {};
  for (int64_t t = 0; t < s.taps; ++t) {
    const int64_t start = place.at + s.before - t * s.dilation;
    if (start < 0) break;  // and so for every later tap
    const int64_t p = start / s.stride;
    if (p >= s.P || p * s.stride != start) continue;
    const Cells<T, kSize> cells =
        columns[((place.n * s.P + p) * s.M + place.m) * s.taps * s.C + (g * s.taps + t) * s.some + c];
#pragma unroll
    for (int k = 0; k < kSize; ++k) sums[k] += widen(cells.v[k]);
  }
  Cells<T, kSize> result;
#pragma unroll
  for (int k = 0; k < kSize; ++k) result.v[k] = Narrow<T>::from(sums[k]);
  x[i] = result;
}

template <int kSize, class T, class Kernel>
void run(const DepthSpec& spec, bool to_columns, Kernel kernel, const T* from, T* to,
         const Context& context) {
  const Depth s(spec, kSize, to_columns);
  if (s.n == 0) return;
  launch(kernel, dim3(static_cast<unsigned>(ceil_div(s.n, kThreads))), dim3(kThreads), 0, context, s,
         reinterpret_cast<const Cells<T, kSize>*>(from), reinterpret_cast<Cells<T, kSize>*>(to));
}

template <class T>
bool in_packs(const DepthSpec& s, const T* x, const T* columns) {
  return s.C / s.groups % Pack<T>::kSize == 0 && aligned_for_packs(x, columns);
}

template <class T>
void depth_unfold(const DepthSpec& s, const T* x, T* columns, const Context& context) {
  constexpr int kSize = Pack<T>::kSize;
  if (in_packs(s, x, columns)) return run<kSize>(s, true, unfold_kernel<T, kSize>, x, columns, context);
  run<1>(s, true, unfold_kernel<T, 1>, x, columns, context);
}

template <class T>
void depth_fold(const DepthSpec& s, const T* columns, T* x, const Context& context) {
  constexpr int kSize = Pack<T>::kSize;
  if (in_packs(s, x, columns)) return run<kSize>(s, false, fold_kernel<T, kSize>, columns, x, context);
  run<1>(s, false, fold_kernel<T, 1>, columns, x, context);
}

}  // namespace

void add_depth(KernelTable& table) {
  FC_ADD(table, depth_unfold);
  FC_ADD(table, depth_fold);
}

}  // namespace fc::cuda
