// embedding_spec.cpp — the rules of looking up rows.
#include "core/embedding_spec.h"

namespace fc {

EmbeddingSpec EmbeddingSpec::make(DType dtype, const Shape& ids, const Shape& table) {
  const std::string op = "embedding";
  FC_CHECK(table.size() == 2, "[", op, "] table must have 2 dimensions (rows, width): expected 2, got ",
           table.size(), " (table.shape=", to_text(table), "). Reshape it.");
  FC_CHECK(table[0] >= 1 && table[1] >= 1, "[", op,
           "] table must have rows and columns: expected extents >= 1, got table.shape=", to_text(table),
           ". Only ids may be empty.");
  constexpr int64_t kMostRows = int64_t{1} << 24;
  FC_CHECK(dtype == DType::f64 || table[0] <= kMostRows, "[", op,
           "] ids beside a table of 32 bits or less must be exact in float32: expected at most ", kMostRows,
           " rows, got table.shape=", to_text(table), ". Use a table of float64.");
  EmbeddingSpec s;
  s.dtype = dtype;
  s.ids_shape = ids;
  s.count = checked_count(op, "ids", ids);
  s.rows = table[0], s.width = table[1];
  checked_count(op, "table", table);
  checked_count(op, "y", {s.count, s.width});
  return s;
}

bool EmbeddingSpec::find_shape(std::string_view name, Shape& out) const {
  if (name == "ids") {
    out = ids_shape;
  } else if (name == "table") {
    out = {rows, width};
  } else if (name == "y") {
    out = ids_shape;
    out.push_back(width);
  } else {
    return false;
  }
  return true;
}

std::string EmbeddingSpec::text() const {
  return text_of("n", count, "_rows", rows, "width", width);
}

double EmbeddingSpec::flops(std::string_view kernel) const {
  return kernel == "embedding_backward" ? static_cast<double>(count * width) : 0;
}

}  // namespace fc
