// factored_spec.cpp — the rules of factored mean squares.
#include "core/factored_spec.h"

namespace fc {

FactoredSpec FactoredSpec::make(DType dtype, const Shape& extents, const Shape& variable) {
  FactoredSpec s;
  static_cast<VectorSpec&>(s) = VectorSpec::make(dtype, "adafactor", extents);
  FC_CHECK(checked_count("adafactor", "variable", variable) == s.n,
           "[adafactor] the gradient must have the variable's elements: expected ", to_text(variable),
           ", got ", to_text(extents), ". Reshape it.");
  s.outer = s.rows = s.columns = 0;
  if (variable.size() < 2 || s.n == 0) return s;
  s.columns = variable[variable.size() - 1];
  s.rows = variable[variable.size() - 2];
  s.outer = s.n / (s.rows * s.columns);
  return s;
}

bool FactoredSpec::find_shape(std::string_view name, Shape& out) const {
  if (name == "row") {
    out = {factored() ? outer * rows : 1};
  } else if (name == "column") {
    out = {factored() ? outer * columns : 1};
  } else {
    return VectorSpec::find_shape(name, out);
  }
  return true;
}

std::string FactoredSpec::text() const {
  return factored() ? text_of("o", outer, "r", rows, "c", columns) : VectorSpec::text();
}

}  // namespace fc
