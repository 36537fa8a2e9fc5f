// layer_norm_forward.cu — every row is centred and scaled by its own mean and variance.
//
// Math       mean[r] = (1/n) Σ_c x[r,c]      var[r] = (1/n) Σ_c (x[r,c] − mean[r])²      rstd = 1/√(var +
//            epsilon) y = (x − mean)·rstd·gamma + beta
//            Not centred (root mean square): with mean 0 throughout
// Shapes     x, y (rows,width)   gamma, beta (width), null mean 1, 0   row_mean, row_rstd (rows);
//            all but x and y are float32 for every T
// Grid/Block rows.cuh: one to 32 lanes a row, or a block
// Registers  the row (up to 4 packs a thread): x is read once; rows beyond 1024 packs are read again from L2
// Numerics   float32. A second pass around the first pass's mean corrects the mean as well, so that a large
//            mean does not cancel; y is as exact as if the mean had twice the bits
// Workspace  none
// Source     Ba, Kiros, Hinton, "Layer Normalization", 2016; Zhang, Sennrich, "Root Mean Square Layer
//            Normalization", 2019; Chan, Golub, LeVeque, 1983, eq. 1.7
#include "core/norm_spec.h"
#include "cuda/device/rows.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

// The mean is centre + offset.
struct RowMoments {
  float centre, offset, variance;
};

template <bool kInWarp, class T, int kWide, int kKept>
__device__ __forceinline__ RowMoments row_moments(const RowPart<T, kWide, kKept>& x, float count_inverse,
                                                  bool centred) {
  float centre = 0;
  for_row_items(
      [&](int, int64_t, const Items<T, kWide>& items) {
  // Weighted before it is added: no overflow where the mean itself is representable.
#pragma unroll
        for (int j = 0; j < kWide; ++j) centre = fmaf(widen(items.v[j]), count_inverse, centre);
      },
      x);
  centre = centred ? group_sum<kInWarp>(centre) : 0.0f;
  float rest = 0, squares = 0;
  for_row_items(
      [&](int, int64_t, const Items<T, kWide>& items) {
#pragma unroll
        for (int j = 0; j < kWide; ++j) {
          const float d = widen(items.v[j]) - centre;
          rest += d;
          squares = fmaf(d, d, squares);
        }
      },
      x);
  rest = group_sum<kInWarp>(rest);
  squares = group_sum<kInWarp>(squares);
  if (!centred) return {0, 0, squares * count_inverse};
  const float offset = rest * count_inverse, variance = fmaf(-rest, offset, squares) * count_inverse;
  return {centre, offset, variance < 0 ? 0.0f : variance};
}

template <class T, int kWide, int kKept, bool kInWarp>
__global__ void __launch_bounds__(kRowThreads)
    layer_norm_kernel(RowShape shape, const T* x, const float* gamma, const float* beta, T* y,
                      float* row_mean, float* row_rstd, float epsilon, bool centred) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  const bool active = row < shape.rows;
  const int64_t begin = active ? row * shape.width : 0;
  const RowPart<T, kWide, kKept> part(x + begin, active ? shape.items : 0);
  const RowMoments m = row_moments<kInWarp>(part, 1.0f / static_cast<float>(shape.width), centred);
  const float rstd = 1.0f / sqrtf(m.variance + epsilon), correction = -m.offset * rstd;
  if (active && threadIdx.x == 0) {
    row_mean[row] = m.centre - m.centre == 0 ? m.centre + m.offset : m.centre;
    row_rstd[row] = rstd;
  }
  for_row_items(
      [&](int, int64_t c, const Items<T, kWide>& items) {
        Items<T, kWide> result;
        float scale[kWide], shift[kWide];
        if (gamma != nullptr) load_values(gamma + c, true, scale);
        if (beta != nullptr) load_values(beta + c, true, shift);
#pragma unroll
        for (int j = 0; j < kWide; ++j) {
          const float normal = fmaf(widen(items.v[j]) - m.centre, rstd, correction);
          result.v[j] = Narrow<T>::from(
              fmaf(normal, gamma != nullptr ? scale[j] : 1.0f, beta != nullptr ? shift[j] : 0.0f));
        }
        store_items(y + begin + c, result);
      },
      part);
}

template <int kWide, class T>
void run_wide(const NormSpec& spec, const T* x, const float* gamma, const float* beta, T* y, float* row_mean,
              float* row_rstd, const Context& context) {
  const RowShape shape(spec.rows, spec.width, kWide);
  for_row_shape(shape, [&](auto kept, auto in_warp) {
    launch(layer_norm_kernel<T, kWide, decltype(kept)::value, decltype(in_warp)::value>,
           dim3(static_cast<unsigned>(ceil_div(spec.rows, shape.groups))), shape.block(), 0, context, shape,
           x, gamma, beta, y, row_mean, row_rstd, static_cast<float>(spec.epsilon), spec.centred);
  });
}

template <class T>
void layer_norm_forward(const NormSpec& spec, const T* x, const float* gamma, const float* beta, T* y,
                        float* row_mean, float* row_rstd, const Context& context) {
  if (spec.rows == 0) return;
  constexpr int kSize = Pack<T>::kSize;
  const bool packs = spec.width % kSize == 0 && aligned_for_packs(x, gamma, beta, y);
  const auto run = packs ? run_wide<kSize, T> : run_wide<1, T>;
  run(spec, x, gamma, beta, y, row_mean, row_rstd, context);
}

}  // namespace

void add_layer_norm_forward(KernelTable& table) {
  FC_ADD(table, layer_norm_forward);
}

}  // namespace fc::cuda
