// loss_sparse.cpp — categorical cross-entropy with class numbers for targets, and its gradient.
//
// Math       loss[r] = −log p[r, labels[r]]      gradient: that of loss_classes.h at the one-hot row
// Shapes     labels (rows) int64   prediction, dprediction (rows,width)   loss, dloss (rows)
// Threads    over blocks of rows; a row has one writer
// Numerics   double inside, one rounding to T at the end
// Workspace  none
// Edges      only the label's class is read for the loss, so another class may have a logit of −inf.
//            A label outside [0, width), which the caller should have refused, makes its row NaN.
// Source     Keras 3, keras/src/losses/losses.py
#include "cpu/kernels/loss.h"
#include "cpu/kernels/loss_classes.h"

namespace fc::cpu::FC_ISA {
namespace {

bool is_class(int64_t label, int64_t classes) {
  return label >= 0 && label < classes;
}

template <class T>
void sparse_loss_forward(const LossSpec& spec, const int64_t* labels, const T* prediction, T* loss,
                         const Context& context) {
  const int64_t width = spec.width;
  for_each_row(spec, context, [&](int64_t row) {
    const int64_t label = labels[row];
    const T* p = prediction + row * width;
    if (!is_class(label, width)) {
      loss[row] = static_cast<T>(NAN);
    } else if (spec.from_logits) {
      loss[row] = static_cast<T>(-log_softmax_of(p, width)(p[label]));
    } else {
      loss[row] = static_cast<T>(-log(probability_clip<T>()(p[label] / sum_of_row(p, width))));
    }
  });
}

template <class T>
void sparse_loss_backward(const LossSpec& spec, const T* dloss, const int64_t* labels, const T* prediction,
                          T* dprediction, const Context& context) {
  const int64_t width = spec.width;
  for_each_row(spec, context, [&](int64_t row) {
    const int64_t label = labels[row];
    const T* p = prediction + row * width;
    T* dp = dprediction + row * width;
    const auto one_hot = [&](int64_t i) { return i == label ? 1.0 : 0.0; };
    if (!is_class(label, width)) {
      for (int64_t i = 0; i < width; ++i) dp[i] = static_cast<T>(NAN);
    } else if (spec.from_logits) {
      crossentropy_of_logits_slope(p, width, one_hot, dloss[row], dp);
    } else {
      crossentropy_slope(p, width, one_hot, dloss[row], dp);
    }
  });
}

}  // namespace

void add_sparse_loss(KernelTable& table) {
  FC_ADD(table, sparse_loss_forward);
  FC_ADD(table, sparse_loss_backward);
}

}  // namespace fc::cpu::FC_ISA
