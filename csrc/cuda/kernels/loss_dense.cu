// loss_dense.cu — losses whose targets have the shape of the predictions, and their gradients.
//
// Math       loss[r] = (1/width) Σ_c value(t[r,c], p[r,c])         loss_terms.cuh; kl_divergence sums
//            loss[r] = −Σ_c t[r,c] log p[r,c]                      loss_classes.cuh, categorical
//            cross-entropy dprediction[r,c] = dloss[r] · ∂loss[r]/∂p[r,c], exactly the derivative of what
//            forward computes
// Shapes     target, prediction, dprediction (rows,width)   loss, dloss (rows), float32 for every T
// Grid/Block losses, and gradients over classes: row_values.cuh; other gradients: 16 bytes per thread
// Numerics   terms in float32, their sum over a row in float64
// Workspace  hinge: how many targets are neither 0 nor 1, as row_sums.cuh counts them
// Edges      a NaN among a row's predictions makes its loss NaN
// Source     Keras 3, keras/src/losses/losses.py (formulas and clipping)
#include "cuda/device/divider.cuh"
#include "cuda/device/loss_classes.cuh"
#include "cuda/device/loss_terms.cuh"
#include "cuda/device/row_sums.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

// Targets go through one linear map: label smoothing, or {0, 1} to {-1, 1}.
struct TargetMap {
  float scale = 1, shift = 0;
  __device__ __forceinline__ float operator()(float t) const { return t * scale + shift; }
};

// Keras's rule for hinge: if the whole tensor holds nothing but 0 and 1, these mean -1 and 1.
struct Targets {
  TargetMap map;
  const double* exceptions;  // hinge: how many are neither; else null

  __device__ __forceinline__ TargetMap resolve() const {
    if (exceptions == nullptr || *exceptions != 0) return map;
    return {2, -1};
  }
};

template <class T>
struct Exceptions {
  const T* target;
  int64_t n;
  bool packed;

  template <int kSize>
  __device__ __forceinline__ double sum(int64_t, int64_t i) const {
    float t[kSize];
    load_present(target, i, n, packed, t);
    int count = 0;
#pragma unroll
    for (int j = 0; j < kSize; ++j) count += t[j] != 0 && t[j] != 1;
    return count;
  }
};

constexpr size_t kCount = 64;  // bytes before the workspace of the sum

template <class T>
size_t loss_forward_workspace(const LossSpec& s, int) {
  return s.kind == LossKind::hinge ? kCount + RowParts(1, s.rows * s.width).workspace() : 0;
}
template <class T>
size_t loss_backward_workspace(const LossSpec& s, int threads) {
  return loss_forward_workspace<T>(s, threads);
}

template <class T>
Targets targets(const LossSpec& s, const T* target, const Context& context) {
  const double smoothing = s.label_smoothing;
  const auto map = [&](double shift) {
    return Targets{{static_cast<float>(1 - smoothing), static_cast<float>(shift)}, nullptr};
  };
  if (s.kind == LossKind::binary_crossentropy) return map(smoothing / 2);
  if (s.kind == LossKind::categorical_crossentropy) return map(smoothing / static_cast<double>(s.width));
  if (s.kind != LossKind::hinge) return {{}, nullptr};
  auto* count = static_cast<double*>(context.workspace);
  const int64_t n = s.rows * s.width;
  sum_rows<Pack<T>::kSize>(context, 1, n, Exceptions<T>{target, n, aligned_for_packs(target)}, count,
                           static_cast<char*>(context.workspace) + kCount);
  return {{}, count};
}

// A row's loss is the sum of its terms over this.
float divisor_of(const LossSpec& s) {
  return s.kind == LossKind::kl_divergence ? 1.0f : static_cast<float>(s.width);
}

template <class T, class Layout>
__global__ void __launch_bounds__(Layout::kThreads, Layout::kBlocks)
    terms_kernel(LossTerm term, Targets targets, float divisor, const T* target, const T* prediction,
                 float* loss, int64_t rows, int64_t width) {
  const RowValues<T, Layout, 2> row(rows, width, target, prediction);
  const TargetMap map = targets.resolve();
  double total = 0;
  row.each([&](const float (&v)[2], int64_t) { total += static_cast<double>(term.value(map(v[0]), v[1])); });
  total = row_sum<Layout>(total);
  if (row.leads()) loss[row.row] = static_cast<float>(total / divisor);
}

template <class T>
__global__ void __launch_bounds__(kSumThreads)
    terms_slope_kernel(LossTerm term, Targets targets, float divisor, const float* dloss, const T* target,
                       const T* prediction, T* dprediction, int64_t n, WideDivider width, bool packed) {
  constexpr int kSize = Pack<T>::kSize;
  const int64_t first = global_thread() * kSize;
  if (first >= n) return;
  float t[kSize], p[kSize], result[kSize];
  load_present(target, first, n, packed, t);
  load_present(prediction, first, n, packed, p);
  const TargetMap map = targets.resolve();
  int64_t row = width.quotient(first), column = first - row * width.divisor;
  float scale = dloss[row] / divisor;
#pragma unroll
  for (int j = 0; j < kSize; ++j, ++column) {
    if (column == width.divisor && first + j < n) {
      column = 0;
      scale = dloss[++row] / divisor;
    }
    result[j] = scale * term.slope(map(t[j]), p[j]);
  }
  store_present(dprediction, first, n, packed, result);
}

template <class T, class Layout>
__global__ void __launch_bounds__(Layout::kThreads, Layout::kBlocks)
    classes_kernel(bool from_logits, TargetMap map, const T* target, const T* prediction, float* loss,
                   int64_t rows, int64_t width) {
  const RowValues<T, Layout, 2> row(rows, width, prediction, target);
  const auto weight = [&](const float (&v)[2], int64_t) { return map(v[1]); };
  const float value = from_logits ? crossentropy_of_logits(row, weight) : crossentropy(row, weight);
  if (row.leads()) loss[row.row] = value;
}

template <class T, class Layout>
__global__ void __launch_bounds__(Layout::kThreads, Layout::kBlocks)
    classes_slope_kernel(bool from_logits, TargetMap map, const float* dloss, const T* target,
                         const T* prediction, T* dprediction, int64_t rows, int64_t width) {
  const RowValues<T, Layout, 2> row(rows, width, prediction, target);
  const auto weight = [&](const float (&v)[2], int64_t) { return map(v[1]); };
  const float slope = row.present ? dloss[row.row] : 0.0f;
  if (from_logits) {
    crossentropy_of_logits_slope(row, weight, slope, dprediction, width);
  } else {
    crossentropy_slope(row, weight, slope, dprediction, width);
  }
}

template <class T>
void loss_forward(const LossSpec& s, const T* target, const T* prediction, float* loss,
                  const Context& context) {
  const Targets to = targets(s, target, context);
  const bool aligned = aligned_for_packs(target, prediction);
  if (s.kind == LossKind::categorical_crossentropy) {
    return with_walked_row_layout<T>(s.width, aligned, [&](auto layout) {
      launch_rows(classes_kernel<T, decltype(layout)>, layout, context, s.rows, s.from_logits, to.map, target,
                  prediction, loss, s.rows, s.width);
    });
  }
  with_walked_row_layout<T>(s.width, aligned, [&](auto layout) {
    launch_rows(terms_kernel<T, decltype(layout)>, layout, context, s.rows, LossTerm(s), to, divisor_of(s),
                target, prediction, loss, s.rows, s.width);
  });
}

template <class T>
void loss_backward(const LossSpec& s, const float* dloss, const T* target, const T* prediction,
                   T* dprediction, const Context& context) {
  const Targets to = targets(s, target, context);
  const bool packed = aligned_for_packs(target, prediction, dprediction);
  if (s.kind == LossKind::categorical_crossentropy) {
    return with_walked_row_layout<T>(s.width, packed, [&](auto layout) {
      launch_rows(classes_slope_kernel<T, decltype(layout)>, layout, context, s.rows, s.from_logits, to.map,
                  dloss, target, prediction, dprediction, s.rows, s.width);
    });
  }
  const int64_t n = s.rows * s.width;
  if (n == 0) return;
  const int64_t blocks = ceil_div(ceil_div(n, Pack<T>::kSize), kSumThreads);
  launch(terms_slope_kernel<T>, dim3(static_cast<unsigned>(blocks)), dim3(kSumThreads), 0, context,
         LossTerm(s), to, divisor_of(s), dloss, target, prediction, dprediction, n, WideDivider(s.width, n),
         packed);
}

}  // namespace

void add_loss_dense(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, loss_forward);
  FC_ADD_WITH_WORKSPACE(table, loss_backward);
}

}  // namespace fc::cuda
