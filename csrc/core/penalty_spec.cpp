// penalty_spec.cpp — the rules of regularizers and constraints.
#include "core/penalty_spec.h"

#include <algorithm>
#include <cmath>

namespace fc {

PenaltySpec PenaltySpec::make(DType dtype, const Shape& extents, double l1, double l2) {
  FC_CHECK(std::isfinite(l1) && std::isfinite(l2) && l1 >= 0 && l2 >= 0,
           "[penalty] factors must be finite and not negative: expected l1 >= 0 and l2 >= 0, got l1=", l1,
           ", l2=", l2, ". Use 0 for none.");
  PenaltySpec s;
  static_cast<VectorSpec&>(s) = VectorSpec::make(dtype, "penalty", extents);
  s.l1 = l1, s.l2 = l2;
  return s;
}

bool PenaltySpec::find_shape(std::string_view name, Shape& out) const {
  return VectorSpec::find_shape(name == "dtotal" ? "total" : name, out);
}

std::string PenaltySpec::text() const {
  return text_of(VectorSpec::text(), "_l1_", l1, "_l2_", l2);
}

NormConstraintSpec NormConstraintSpec::make(DType dtype, const Shape& extents, const Shape& axes,
                                            double least, double most, double rate) {
  const auto rank = static_cast<int64_t>(extents.size());
  Shape sorted;
  for (const int64_t axis : axes) sorted.push_back(axis < 0 ? axis + rank : axis);
  std::sort(sorted.begin(), sorted.end());
  bool neighbours = !sorted.empty() && sorted.front() >= 0 && sorted.back() < rank;
  for (size_t i = 1; i < sorted.size(); ++i) neighbours = neighbours && sorted[i] == sorted[i - 1] + 1;
  FC_CHECK(neighbours, "[constraint] axis must name neighbouring axes of the weight: expected axes of ",
           to_text(extents), " that follow each other, got axis=", to_text(axes),
           ". For a Dense kernel 0, for that of a Conv2D [0, 1, 2].");
  NormConstraintSpec s;
  static_cast<VectorSpec&>(s) = VectorSpec::make(dtype, "constraint", extents);
  const auto product = [&](int64_t begin, int64_t end) {
    int64_t cells = 1;
    for (int64_t i = begin; i < end; ++i) cells *= extents[static_cast<size_t>(i)];
    return cells;
  };
  s.outer = product(0, sorted.front());
  s.extent = product(sorted.front(), sorted.back() + 1);
  s.inner = product(sorted.back() + 1, rank);
  s.least = least, s.most = most, s.rate = rate;
  return s;
}

std::string NormConstraintSpec::text() const {
  return text_of("o", outer, "e", extent, "i", inner, "_", least, "_to_", most, "_rate", rate);
}

}  // namespace fc
