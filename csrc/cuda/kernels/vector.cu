// vector.cu — kernels on all elements of one tensor at once: inner product, unscaling and clipping of
// gradients.
//
// Math       dot              total[0] = Σ a[i]·b[i]
//            unscale          g = g·factor in place; total[0] = Σ 0·g: 0, or NaN where a g is not finite
//            gradient_clip    limits = {clipvalue, clipnorm}, infinity for none, read on the device
//                             g = min(max(g, −clipvalue), clipvalue), then g = g·clipnorm/‖g‖ where ‖g‖ >
//                             clipnorm
// Shapes     a, b, gradient (n), the gradient float32   total (1) float32   limits (2), factor (1) float64
// Grid/Block sums: row_sums.cuh, one cell; clipping: 16 bytes per thread
// Numerics   products and sums in float64; one rounding at the end
// Workspace  that of row_sums.cuh; gradient_clip: the sum of squares before it
// Edges      NaN passes through clipvalue; a NaN norm makes every gradient NaN, an infinite one zero (inf·0
//            is NaN); a refused step writes nothing
// Source     Keras 3, keras/src/optimizers/base_optimizer.py (clip_by_norm)
#include "core/elementwise_spec.h"
#include "cuda/device/row_sums.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

template <class T>
struct Products {
  const T *a, *b;
  int64_t n;
  bool packed;

  template <int kSize>
  __device__ __forceinline__ double sum(int64_t, int64_t i) const {
    float va[kSize], vb[kSize];
    load_present(a, i, n, packed, va);
    load_present(b, i, n, packed, vb);
    double total = 0;
#pragma unroll
    for (int j = 0; j < kSize; ++j) total += static_cast<double>(va[j]) * static_cast<double>(vb[j]);
    return total;
  }
};

// Scales on the way; a term is 0, or NaN where a number is not finite.
struct Unscaled {
  float* gradient;
  const double* factor;
  int64_t n;
  bool packed;
  const int32_t* proceed;

  template <int kSize>
  __device__ __forceinline__ double sum(int64_t, int64_t i) const {
    float g[kSize];
    load_present(gradient, i, n, packed, g);
    const auto scale = static_cast<float>(*factor);
    float total = 0;
#pragma unroll
    for (int j = 0; j < kSize; ++j) {
      total = fmaf(g[j], 0.0f, total);
      g[j] *= scale;
    }
    if (proceed == nullptr || *proceed != 0) store_present(gradient, i, n, packed, g);
    return static_cast<double>(total);
  }
};

// What clipvalue leaves of g; NaN stays.
__device__ __forceinline__ float clipped(float g, float limit) {
  return g < -limit ? -limit : g > limit ? limit : g;
}

// Squares of what clipvalue leaves; nothing is read where no norm is limited.
struct Squares {
  const float* gradient;
  const double* limits;
  int64_t n;
  bool packed;

  template <int kSize>
  __device__ __forceinline__ double sum(int64_t, int64_t i) const {
    if (limits[1] == INFINITY) return 0;
    const auto limit = static_cast<float>(limits[0]);
    float g[kSize];
    load_present(gradient, i, n, packed, g);
    double total = 0;
#pragma unroll
    for (int j = 0; j < kSize; ++j) {
      const auto v = static_cast<double>(clipped(g[j], limit));
      total += v * v;
    }
    return total;
  }
};

struct Clip {
  float limit, scale;
  bool changes;
};

__global__ void __launch_bounds__(kSumThreads)
    clip_kernel(const double* limits, const double* squares, float* gradient, int64_t n, bool packed,
                const int32_t* proceed) {
  constexpr int kSize = Pack<float>::kSize;
  FC_SHARED(Clip, shared);
  const int64_t first = global_thread() * kSize;
  float g[kSize];
  load_present(gradient, first, n, packed, g);
  if (threadIdx.x == 0) {  // one root and one division in float64 for a block
    const double norm = sqrt(*squares);
    const bool shrinks = limits[1] != INFINITY && !(norm <= limits[1]);
    shared.limit = static_cast<float>(limits[0]);
    shared.scale = shrinks ? static_cast<float>(limits[1] / norm) : 1.0f;
    shared.changes = (shrinks || limits[0] != INFINITY) && (proceed == nullptr || *proceed != 0);
  }
  __syncthreads();
  if (!shared.changes) return;
#pragma unroll
  for (int j = 0; j < kSize; ++j) g[j] = clipped(g[j], shared.limit) * shared.scale;
  store_present(gradient, first, n, packed, g);
}

template <class T>
size_t dot_workspace(const VectorSpec& s, int) {
  return RowParts(1, s.n).workspace();
}

template <class T>
void dot(const VectorSpec& s, const T* a, const T* b, float* total, const Context& context) {
  const Products<T> products{a, b, s.n, aligned_for_packs(a, b)};
  sum_rows<Pack<T>::kSize>(context, 1, s.n, products, total, context.workspace);
}

size_t unscale_workspace(const VectorSpec& s, int threads) {
  return dot_workspace<float>(s, threads);
}

void unscale(const VectorSpec& s, const double* factor, float* gradient, float* total,
             const Context& context) {
  const Unscaled terms{gradient, factor, s.n, aligned_for_packs(gradient), context.proceed};
  sum_rows<Pack<float>::kSize>(context, 1, s.n, terms, total, context.workspace);
}

constexpr size_t kSquares = 64;  // bytes before the workspace of the sum

size_t gradient_clip_workspace(const VectorSpec& s, int) {
  return kSquares + RowParts(1, s.n).workspace();
}

void gradient_clip(const VectorSpec& s, const double* limits, float* gradient, const Context& context) {
  if (s.n == 0) return;
  constexpr int kSize = Pack<float>::kSize;
  const bool packed = aligned_for_packs(gradient);
  auto* squares = static_cast<double*>(context.workspace);
  sum_rows<kSize>(context, 1, s.n, Squares{gradient, limits, s.n, packed}, squares,
                  static_cast<char*>(context.workspace) + kSquares);
  const int64_t blocks = ceil_div(ceil_div(s.n, kSize), kSumThreads);
  launch(clip_kernel, dim3(static_cast<unsigned>(blocks)), dim3(kSumThreads), 0, context, limits,
         static_cast<const double*>(squares), gradient, s.n, packed, context.proceed);
}

}  // namespace

void add_vector(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, dot);
  table.at("unscale", DType::f32) = kernel<&unscale, &unscale_workspace>();
  table.at("gradient_clip", DType::f32) = kernel<&gradient_clip, &gradient_clip_workspace>();
}

}  // namespace fc::cuda
