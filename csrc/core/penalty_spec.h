// penalty_spec.h — what regularizers and constraints do to one tensor.
#pragma once

#include "core/elementwise_spec.h"

namespace fc {

// total = Σ l1·|x| + l2·x². Tensors: x, addend, dx; total and dtotal (1).
struct PenaltySpec final : VectorSpec {
  double l1, l2;
  static PenaltySpec make(DType dtype, const Shape& extents, double l1, double l2);
  std::string text() const override;

 protected:
  bool find_shape(std::string_view name, Shape& out) const override;
};

// Norms of w along neighbouring axes, which are `extent` elements: w is (outer, extent, inner).
struct NormConstraintSpec final : VectorSpec {
  int64_t outer, extent, inner;
  double least, most, rate;
  // Axes may be negative and in any order.
  static NormConstraintSpec make(DType dtype, const Shape& extents, const Shape& axes, double least,
                                 double most, double rate);
  std::string text() const override;
};

}  // namespace fc
