// loss_sparse.cu — categorical cross-entropy with class numbers for targets, its gradient, and both at once.
//
// Math       loss[r] = −log p[r, labels[r]]      of logits z: log Σ exp(z − max) − (z[label] − max)
//            gradient: that of loss_classes.cuh at the one-hot row
// Shapes     labels (rows) int64   prediction, dprediction (rows,width)   loss, dloss (rows),
//            float32 for every T
// Grid/Block row_values.cuh
// Numerics   float32. Of a confident row the loss, log(1 + others), and the label's slope, −others/(1 +
//            others), keep their digits
// Workspace  none
// Edges      only the label's class is read for the loss, so another class may have a logit of −inf.
//            A label outside [0, width) makes its row NaN; nothing is read through it
// Source     Keras 3, keras/src/losses/losses.py
#include "cuda/device/loss_classes.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

constexpr int64_t kNoClass = -1;

template <class T, class Layout>
__device__ __forceinline__ int64_t label_of(const RowValues<T, Layout, 1>& row, const int64_t* labels,
                                            int64_t width) {
  const int64_t label = row.present ? labels[row.row] : kNoClass;
  return label >= 0 && label < width ? label : kNoClass;
}

template <class Row>
__device__ __forceinline__ float probability_loss(const Row& row, float own) {
  return -logf(probabilities()(own / sum_of_predictions(row)));
}

template <class T, class Layout>
__global__ void __launch_bounds__(Layout::kThreads, Layout::kBlocks)
    forward_kernel(bool from_logits, const int64_t* labels, const T* prediction, float* loss, int64_t rows,
                   int64_t width) {
  const RowValues<T, Layout, 1> row(rows, width, prediction);
  const int64_t label = label_of(row, labels, width);
  const float own = label == kNoClass ? NAN : load(prediction + row.row * width + label);
  float value;
  if (from_logits) {
    const Exponentials e = exponentials<0>(row);
    value = e.log_total() - (own - e.largest);
  } else {
    value = probability_loss(row, own);
  }
  if (row.leads()) loss[row.row] = value;
}

template <class T, class Layout>
__global__ void __launch_bounds__(Layout::kThreads, Layout::kBlocks)
    backward_kernel(bool from_logits, const float* dloss, const int64_t* labels, const T* prediction,
                    float* loss, T* dprediction, int64_t rows, int64_t width) {
  const RowValues<T, Layout, 1> row(rows, width, prediction);
  const int64_t label = label_of(row, labels, width);
  const float slope = label == kNoClass ? NAN : dloss[row.row];
  // Before any thread of the row writes: dprediction may be prediction.
  const float own = loss == nullptr || label == kNoClass ? NAN : load(prediction + row.row * width + label);
  float value = NAN;
  if (from_logits) {
    const Exponentials e = exponentials<0>(row);
    if (loss != nullptr) value = e.log_total() - (own - e.largest);
    const float scale = slope / e.total();
    row.write(dprediction, width, [&](const float (&v)[1], int64_t c) {
      return scale * (c == label ? -e.rest(v[0]) : e.of(v[0]));
    });
  } else {
    const auto one_hot = [&](const float (&)[1], int64_t c) { return c == label ? 1.0f : 0.0f; };
    if (loss != nullptr) value = probability_loss(row, own);
    crossentropy_slope(row, one_hot, slope, dprediction, width);
  }
  if (loss != nullptr && row.leads()) loss[row.row] = value;
}

template <class T>
void sparse_loss_forward(const LossSpec& s, const int64_t* labels, const T* prediction, float* loss,
                         const Context& context) {
  with_walked_row_layout<T>(s.width, aligned_for_packs(prediction), [&](auto layout) {
    launch_rows(forward_kernel<T, decltype(layout)>, layout, context, s.rows, s.from_logits, labels,
                prediction, loss, s.rows, s.width);
  });
}

// loss may be null.
template <class T>
void sparse_loss_with_gradient(const LossSpec& s, const float* dloss, const int64_t* labels,
                               const T* prediction, float* loss, T* dprediction, const Context& context) {
  with_walked_row_layout<T>(s.width, aligned_for_packs(prediction, dprediction), [&](auto layout) {
    launch_rows(backward_kernel<T, decltype(layout)>, layout, context, s.rows, s.from_logits, dloss, labels,
                prediction, loss, dprediction, s.rows, s.width);
  });
}

template <class T>
void sparse_loss_backward(const LossSpec& s, const float* dloss, const int64_t* labels, const T* prediction,
                          T* dprediction, const Context& context) {
  sparse_loss_with_gradient<T>(s, dloss, labels, prediction, nullptr, dprediction, context);
}

}  // namespace

void add_loss_sparse(KernelTable& table) {
  FC_ADD(table, sparse_loss_forward);
  FC_ADD(table, sparse_loss_backward);
  FC_ADD(table, sparse_loss_with_gradient);
}

}  // namespace fc::cuda
