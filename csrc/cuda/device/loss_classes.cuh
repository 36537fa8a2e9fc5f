// loss_classes.cuh — cross-entropy over the classes of one row, −Σ t log p, and its derivative by the row's
// predictions.
//
// Logits          p = softmax(z)              d/dz = p·Σt − t
// Probabilities   p = clip(x / Σx), as Keras  d/dx = (Σ_{not clipped} t − t/p where not clipped) / Σx
// Predictions are the rows' matrix 0; weight(values, column) is the target t of a class.
#pragma once

#include "cuda/device/exponentials.cuh"
#include "cuda/device/loss_terms.cuh"

namespace fc::cuda {

template <class T, class Layout, int kInputs, class Weight>
__device__ __forceinline__ float crossentropy_of_logits(const RowValues<T, Layout, kInputs>& row,
                                                        const Weight& weight) {
  const Exponentials e = exponentials<0>(row);
  const float log_total = e.log_total();
  float total = 0;
  row.each([&](const float (&v)[kInputs], int64_t c) {
    total += weight(v, c) * (log_total - (v[0] - e.largest));  // no term is negative
  });
  return row_sum<Layout>(total);
}

// p Σt − t as p (Σt − t) − t (1 − p): of a confident row 1 − p keeps its digits.
template <class T, class Layout, int kInputs, class Weight>
__device__ __forceinline__ void crossentropy_of_logits_slope(const RowValues<T, Layout, kInputs>& row,
                                                             const Weight& weight, float dloss, T* dz,
                                                             int64_t width) {
  const Exponentials e = exponentials<0>(row);
  float weights = 0;
  row.each([&](const float (&v)[kInputs], int64_t c) { weights += weight(v, c); });
  weights = row_sum<Layout>(weights);
  const float scale = dloss / e.total();
  row.write(dz, width, [&](const float (&v)[kInputs], int64_t c) {
    const float t = weight(v, c);
    return scale * (e.of(v[0]) * (weights - t) - t * e.rest(v[0]));
  });
}

template <class T, class Layout, int kInputs>
__device__ __forceinline__ float sum_of_predictions(const RowValues<T, Layout, kInputs>& row) {
  float total = 0;
  row.each([&](const float (&v)[kInputs], int64_t) { total += v[0]; });
  return row_sum<Layout>(total);
}

template <class T, class Layout, int kInputs, class Weight>
__device__ __forceinline__ float crossentropy(const RowValues<T, Layout, kInputs>& row,
                                              const Weight& weight) {
  const float all = sum_of_predictions(row);
  float total = 0;
  row.each([&](const float (&v)[kInputs], int64_t c) {
    total -= weight(v, c) * logf(probabilities()(v[0] / all));
  });
  return row_sum<Layout>(total);
}

template <class T, class Layout, int kInputs, class Weight>
__device__ __forceinline__ void crossentropy_slope(const RowValues<T, Layout, kInputs>& row,
                                                   const Weight& weight, float dloss, T* dx, int64_t width) {
  const float all = sum_of_predictions(row);
  const auto kept = [&](const float (&v)[kInputs], int64_t c) {
    return probabilities().change(v[0] / all) ? 0.0f : weight(v, c);
  };
  float common = 0;
  row.each([&](const float (&v)[kInputs], int64_t c) { common += kept(v, c); });
  common = row_sum<Layout>(common);
  row.write(dx, width, [&](const float (&v)[kInputs], int64_t c) {
    const float p = probabilities()(v[0] / all);  // NaN stays, so that a row with one is NaN throughout
    return dloss * (common - kept(v, c) / p) / all;
  });
}

}  // namespace fc::cuda
