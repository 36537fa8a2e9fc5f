// binary.h — y = op(a, b) over broadcast operands: the part that forward and backward share.
#pragma once

#include "core/elementwise_spec.h"
#include "cpu/kernels/axes.h"
#include "cpu/kernels/table.h"
#include "cpu/simd/stream.h"

namespace fc::cpu::FC_ISA {

void add_binary_forward(KernelTable& table);
void add_binary_backward(KernelTable& table);

struct Add {
  template <class V>
  FC_INLINE V operator()(const V& a, const V& b) const {
    return a + b;
  }
};
struct Subtract {
  template <class V>
  FC_INLINE V operator()(const V& a, const V& b) const {
    return a - b;
  }
};
struct Multiply {
  template <class V>
  FC_INLINE V operator()(const V& a, const V& b) const {
    return a * b;
  }
};

struct Divide {
  template <class V>
  FC_INLINE V operator()(const V& a, const V& b) const {
    return a / b;
  }
};

// Of equal ones a; NaN where either is.
struct Maximum {
  template <class V>
  FC_INLINE V operator()(const V& a, const V& b) const {
    const V larger = b > a ? b : a;
    return b == b ? larger : b;
  }
};
struct Minimum {
  template <class V>
  FC_INLINE V operator()(const V& a, const V& b) const {
    const V smaller = b < a ? b : a;
    return b == b ? smaller : b;
  }
};

// Strides of a contiguous array of `shape` broadcast to `rank` axes, walked from the last axis outwards.
class BroadcastStride {
 public:
  explicit BroadcastStride(const Shape& shape)
      : shape_(shape.data()), rank_(static_cast<int64_t>(shape.size())) {}

  // The stride along the axis `from_last` (0 is the last); to be asked in ascending order.
  int64_t next(int64_t from_last) {
    const int64_t extent = from_last < rank_ ? shape_[rank_ - 1 - from_last] : 1;
    const int64_t stride = extent == 1 ? 0 : step_;
    step_ *= extent;
    return stride;
  }

 private:
  const int64_t* shape_;
  int64_t rank_;
  int64_t step_ = 1;
};

// Calls f(extent, {stride of y, of a, of b}) for every axis of more than one cell, from the last axis
// outwards.
template <class F>
void for_each_axis(const BinarySpec& spec, const F& f) {
  BroadcastStride y(spec.y_shape), a(spec.a_shape), b(spec.b_shape);
  const int64_t rank = static_cast<int64_t>(spec.y_shape.size());
  for (int64_t i = 0; i < rank; ++i) {
    const int64_t strides[3] = {y.next(i), a.next(i), b.next(i)};
    const int64_t extent = spec.y_shape.data()[rank - 1 - i];
    if (extent != 1) f(extent, strides);
  }
}

// An operand along the innermost axis: every element, or one element again and again.
template <class T>
struct Line {
  const T* first;
  bool repeats;

  FC_INLINE Vec<T> at(int64_t i, int64_t count) const {
    return repeats ? broadcast(*first) : load_up_to(first + i, count);
  }
};

// The operands of `axes` are y, a, b; y's innermost stride is 1, those of a and b are 1 or 0.
template <class T, class Op>
void apply_binary(const Axes<3>& axes, const T* a, const T* b, T* y, int threads, const Op& op) {
  const bool past_caches = outgrows_caches<T>(axes.count()) && y != a && y != b;
  for_each_stretch(axes, threads, [&](const int64_t (&offset)[3], int64_t n) {
    const Line<T> a_line = {a + offset[1], axes.stride[0][1] == 0};
    const Line<T> b_line = {b + offset[2], axes.stride[0][2] == 0};
    write_vectors(y + offset[0], n, past_caches,
                  [&](int64_t i, int64_t count) { return op(a_line.at(i, count), b_line.at(i, count)); });
  });
}

}  // namespace fc::cpu::FC_ISA
