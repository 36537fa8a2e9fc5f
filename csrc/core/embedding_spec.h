// embedding_spec.h — rows looked up in a table.
#pragma once

#include "core/spec.h"

namespace fc {

// y[i] = table[ids[i]]. Ids are numbers of the table's own float type (float32 beside one of 16 bits), whose
// fraction is dropped: what a model is fed is floats. Tensors: ids (...), table (rows, width), y (...,
// width).
struct EmbeddingSpec final : Spec {
  Shape ids_shape;
  int64_t count, rows, width;

  static EmbeddingSpec make(DType dtype, const Shape& ids, const Shape& table);
  std::string text() const override;
  double flops(std::string_view kernel) const override;

 private:
  bool find_shape(std::string_view name, Shape& out) const override;
};

}  // namespace fc
