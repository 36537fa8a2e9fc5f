// loss_sparse.cpp — categorical cross-entropy with class numbers for targets, its gradient, and both at once.
//
// Math       loss[r] = −log p[r, labels[r]]      of logits z: log Σ exp(z − max) − (z[label] − max)
//            gradient: that of loss_classes.h at the one-hot row
// Shapes     labels (rows) int64   prediction, dprediction (rows,width)   loss, dloss (rows)
// Blocking   a row is read twice from L1, or from registers where it fits one; the gradient keeps the
//            exponentials of kMostKept classes, and computes those of longer rows twice
// Threads    over blocks of rows; a row has one writer
// Numerics   Logits: exponentials in T, sums in blocks of 4096 in T, blocks in double, the label's own kept
//            apart: of a confident row the loss, log(1 + others), and the slope, −others/(1 + others), keep
//            their digits.
//            Probabilities: double inside. One rounding to T at the end.
// Workspace  none
// Edges      only the label's class is read for the loss, so another class may have a logit of −inf.
//            A label outside [0, width), which the caller should have refused, makes its row NaN.
// Source     Keras 3, keras/src/losses/losses.py
#include "cpu/kernels/loss.h"
#include "cpu/kernels/loss_classes.h"
#include "cpu/kernels/row_exp.h"
#include "cpu/simd/stream.h"

namespace fc::cpu::FC_ISA {
namespace {

constexpr int64_t kMostKept = 2048;  // exponentials of a row, in L1: they take longer than all else

bool is_class(int64_t label, int64_t classes) {
  return label >= 0 && label < classes;
}

// Exponentials of a row of logits, shifted by the largest so that nothing overflows.
template <class T>
struct Exponentials {
  T largest;
  double label, others;  // of the label's class, summed over all other classes

  // `kept`, if not null, gets all of them. Over a `long_way` the next row is fetched meanwhile.
  Exponentials(const T* z, int64_t classes, int64_t label_class, bool long_way, T* kept = nullptr)
      : largest(row_max(z, classes)) {
    const Vec<T> shift = broadcast(largest);
    Vec<T> own = zero<T>();
    const uintptr_t row = static_cast<uintptr_t>(classes) * sizeof(T);
    others = row_sum<T>(classes, [&](int64_t i, int64_t count) {
      if (long_way) prefetch(z + i, row);
      const Vec<T> e = exp<T>(load_up_to(z + i, count) - shift);
      if (kept != nullptr) store_up_to(kept + i, e, count);
      if (label_class < i || label_class >= i + count) return e;
      const IntVec<T> is_label = lane_numbers<T>() == static_cast<IntLane<T>>(label_class - i);
      own = is_label ? e : zero<T>();
      return is_label ? zero<T>() : e;
    });
    label = sum_of_lanes<T>(own);
  }
  double sum() const { return label + others; }
};

template <class T>
T logits_loss(const Exponentials<T>& e, double own) {
  return static_cast<T>(log(e.sum()) - (own - e.largest));
}

template <class T>
T probability_loss(const T* p, int64_t classes, int64_t label) {
  return static_cast<T>(-log(probability_clip<T>()(p[label] / sum_of_row(p, classes))));
}

template <class T>
Exponentials<T> logits_slope(const T* z, int64_t classes, int64_t label, double dloss, bool long_way,
                             bool past_caches, T* dz) {
  alignas(FC_VECTOR_BYTES) T kept[kMostKept];
  const bool keep = classes <= kMostKept;
  const Exponentials<T> e(z, classes, label, long_way, keep ? kept : nullptr);
  const Vec<T> shift = broadcast(e.largest), scale = broadcast(static_cast<T>(dloss / e.sum()));
  const Vec<T> own = broadcast(static_cast<T>(-dloss * (e.others / e.sum())));
  write_vectors(dz, classes, past_caches, [&](int64_t i, int64_t count) {
    const Vec<T> exponentials = keep ? load_up_to(kept + i, count) : exp<T>(load_up_to(z + i, count) - shift);
    const Vec<T> slope = exponentials * scale;
    if (label < i || label >= i + count) return slope;
    return lane_numbers<T>() == static_cast<IntLane<T>>(label - i) ? own : slope;
  });
  return e;
}

template <class T>
void sparse_loss_forward(const LossSpec& spec, const int64_t* labels, const T* prediction, T* loss,
                         const Context& context) {
  const int64_t width = spec.width;
  const bool long_way = outgrows_l2<T>(spec.rows * width);
  for_each_row(spec, context, [&](int64_t row) {
    const int64_t label = labels[row];
    const T* p = prediction + row * width;
    if (!is_class(label, width)) {
      loss[row] = static_cast<T>(NAN);
    } else if (spec.from_logits) {
      loss[row] = logits_loss(Exponentials<T>(p, width, label, long_way), static_cast<double>(p[label]));
    } else {
      loss[row] = probability_loss(p, width, label);
    }
  });
}

// loss may be null.
template <class T>
void sparse_loss_with_gradient(const LossSpec& spec, const T* dloss, const int64_t* labels,
                               const T* prediction, T* loss, T* dprediction, const Context& context) {
  const int64_t width = spec.width;
  const bool long_way = outgrows_l2<T>(spec.rows * width);
  const bool past_caches = outgrows_caches<T>(spec.rows * width) && dprediction != prediction;
  for_each_row(spec, context, [&](int64_t row) {
    const int64_t label = labels[row];
    const T* p = prediction + row * width;
    T* dp = dprediction + row * width;
    const auto one_hot = [&](int64_t i) { return i == label ? 1.0 : 0.0; };
    T value = static_cast<T>(NAN);
    if (!is_class(label, width)) {
      for (int64_t i = 0; i < width; ++i) dp[i] = static_cast<T>(NAN);
    } else if (spec.from_logits) {
      const double own = p[label];  // dp may be p
      const Exponentials<T> e = logits_slope(p, width, label, dloss[row], long_way, past_caches, dp);
      if (loss != nullptr) value = logits_loss(e, own);
    } else {
      if (loss != nullptr) value = probability_loss(p, width, label);
      crossentropy_slope(p, width, one_hot, dloss[row], dp);
    }
    if (loss != nullptr) loss[row] = value;
  });
}

template <class T>
void sparse_loss_backward(const LossSpec& spec, const T* dloss, const int64_t* labels, const T* prediction,
                          T* dprediction, const Context& context) {
  sparse_loss_with_gradient<T>(spec, dloss, labels, prediction, nullptr, dprediction, context);
}

}  // namespace

void add_sparse_loss(KernelTable& table) {
  FC_ADD(table, sparse_loss_forward);
  FC_ADD(table, sparse_loss_backward);
  FC_ADD(table, sparse_loss_with_gradient);
}

}  // namespace fc::cpu::FC_ISA
