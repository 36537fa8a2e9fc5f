// penalty.cu — what regularizers add to the loss, and its gradient.
//
// Math       total[0] = Σ l1·|x| + l2·x²      dx = dtotal·(l1·sign(x) + 2·l2·x) + addend
// Shapes     x, addend, dx of any shape   total, dtotal (1) float32
// Grid/Block forward: row_sums.cuh, one cell; backward: 16 bytes of every array per thread
// Numerics   sums in float64, rounded once; coefficients in float64, rounded once; dx in float32
// Workspace  forward: that of row_sums.cuh
// Edges      sign(0) is 0; NaN stays NaN
// Source     Keras 3, keras/src/regularizers/regularizers.py
#include "core/penalty_spec.h"
#include "cuda/device/row_sums.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

constexpr int kThreads = 256;

template <class T>
struct Terms {
  const T* x;
  double l1, l2;
  int64_t n;
  bool packed;
  template <int kSize>
  __device__ __forceinline__ double sum(int64_t, int64_t i) const {
    float v[kSize];
    load_present(x, i, n, packed, v);
    double total = 0;
#pragma unroll
    for (int j = 0; j < kSize; ++j) {
      const auto wide = static_cast<double>(v[j]);
      total += l1 * fabs(wide) + l2 * wide * wide;
    }
    return total;
  }
};

template <class T>
__global__ void __launch_bounds__(kThreads)
    penalty_backward_kernel(const float* dtotal, const T* x, const T* addend, T* dx, double l1, double l2,
                            int64_t n, bool packed) {
  constexpr int kSize = Pack<T>::kSize;
  const int64_t first = global_thread() * kSize;
  const double slope = *dtotal;
  const auto by_sign = static_cast<float>(l1 * slope), by_size = static_cast<float>(2 * l2 * slope);
  float v[kSize], other[kSize] = {};
  load_present(x, first, n, packed, v);
  if (addend != nullptr) load_present(addend, first, n, packed, other);
#pragma unroll
  for (int j = 0; j < kSize; ++j) {
    const float sign = v[j] > 0 ? by_sign : v[j] < 0 ? -by_sign : 0.0f;
    v[j] = (sign + by_size * v[j]) + other[j];
  }
  store_present(dx, first, n, packed, v);
}

template <class T>
size_t penalty_forward_workspace(const PenaltySpec& s, int) {
  return RowParts(1, s.n).workspace();
}

template <class T>
void penalty_forward(const PenaltySpec& s, const T* x, float* total, const Context& context) {
  sum_rows<Pack<T>::kSize>(context, 1, s.n, Terms<T>{x, s.l1, s.l2, s.n, aligned_for_packs(x)}, total,
                           context.workspace);
}

template <class T>
void penalty_backward(const PenaltySpec& s, const float* dtotal, const T* x, const T* addend, T* dx,
                      const Context& context) {
  if (s.n == 0) return;
  const int64_t packs = ceil_div(s.n, Pack<T>::kSize);
  launch(penalty_backward_kernel<T>, dim3(static_cast<unsigned>(ceil_div(packs, kThreads))), dim3(kThreads),
         0, context, dtotal, x, addend, dx, s.l1, s.l2, s.n, aligned_for_packs(x, addend, dx));
}

}  // namespace

void add_penalty(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, penalty_forward);
  FC_ADD(table, penalty_backward);
}

}  // namespace fc::cuda
