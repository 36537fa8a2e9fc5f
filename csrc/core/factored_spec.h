// factored_spec.h — a variable whose mean squares are kept by rows and by columns.
#pragma once

#include "core/elementwise_spec.h"

namespace fc {

// Tensors: gradient, w and velocity have `extents`, which are (outer, rows, columns) elements; row
// (outer*rows), column (outer*columns). A variable that is not factored, since it has one axis or none, has
// rows = 0, and a row and a column of one element that nobody reads.
struct FactoredSpec final : VectorSpec {
  int64_t outer, rows, columns;
  // `extents` is how the tensors are given, `variable` the shape whose last two axes are factored.
  static FactoredSpec make(DType dtype, const Shape& extents, const Shape& variable);
  bool factored() const { return rows > 0; }
  std::string text() const override;

 protected:
  bool find_shape(std::string_view name, Shape& out) const override;
};

}  // namespace fc
