// elementwise_spec.cpp — the rules of elementwise, broadcasting and copying ops.
#include "core/elementwise_spec.h"

#include <algorithm>
#include <cmath>

namespace fc {
namespace {

std::string extents_text(const Shape& shape) {
  std::string text;
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? "x" : "") + std::to_string(shape[i]);
  return text.empty() ? "scalar" : text;
}

void set_extents(VectorSpec& s, DType dtype, const std::string& op, const Shape& extents) {
  s.dtype = dtype;
  s.extents = extents;
  s.n = checked_count(op, "x", extents);
}

}  // namespace

VectorSpec VectorSpec::make(DType dtype, const std::string& op, const Shape& extents) {
  VectorSpec s;
  set_extents(s, dtype, op, extents);
  return s;
}

std::string VectorSpec::text() const {
  return extents_text(extents);
}
double VectorSpec::flops(std::string_view) const {
  return static_cast<double>(n);
}

bool VectorSpec::find_shape(std::string_view name, Shape& out) const {
  if (name == "hyper") {
    out = {8};
  } else if (name == "limits") {
    out = {2};
  } else if (name == "factor" || name == "limit" || name == "seed" || name == "total") {
    out = {1};
  } else {
    out = extents;
  }
  return true;
}

ActivationSpec ActivationSpec::make(DType dtype, const Shape& extents, const Activation& activation) {
  ActivationSpec s;
  set_extents(s, dtype, name_of(activation.kind), extents);
  s.activation = activation;
  return s;
}

std::string ActivationSpec::text() const {
  return text_of(name_of(activation.kind), "_", extents_text(extents));
}

DropoutSpec DropoutSpec::make(DType dtype, const Shape& extents, double rate) {
  FC_CHECK(rate >= 0 && rate <= 1,
           "[dropout] rate must be in [0, 1]: expected 0 <= rate <= 1, got rate=", rate,
           ". It is the share of elements set to zero.");
  DropoutSpec s;
  set_extents(s, dtype, "dropout", extents);
  s.rate = rate;
  return s;
}

std::string DropoutSpec::text() const {
  return text_of(extents_text(extents), "_rate", rate);
}

NoiseSpec NoiseSpec::make(DType dtype, const Shape& extents, double stddev, bool multiply) {
  FC_CHECK(stddev >= 0,
           "[gaussian_noise] stddev must not be negative: expected stddev >= 0, got stddev=", stddev,
           ". Use 0 for none.");
  NoiseSpec s;
  set_extents(s, dtype, "gaussian_noise", extents);
  s.stddev = stddev, s.multiply = multiply;
  return s;
}

std::string NoiseSpec::text() const {
  return text_of(extents_text(extents), multiply ? "_times" : "_plus", stddev);
}

FillSpec FillSpec::make(DType dtype, const Shape& extents, double value) {
  FillSpec s;
  set_extents(s, dtype, "fill", extents);
  s.value = value;
  return s;
}

CastSpec CastSpec::make(DType dtype, DType to, const Shape& extents) {
  CastSpec s;
  set_extents(s, dtype, "cast", extents);
  s.to = to;
  return s;
}

std::string CastSpec::text() const {
  return text_of(name_of(dtype), "_to_", name_of(to), "_", extents_text(extents));
}

PreluSpec PreluSpec::make(DType dtype, const Shape& x, const Shape& alpha) {
  PreluSpec s;
  s.dtype = dtype;
  s.x_shape = x;
  s.alpha_shape = alpha;
  const size_t lead =
      std::find_if(alpha.begin(), alpha.end(), [](int64_t e) { return e != 1; }) - alpha.begin();
  const Shape tail(alpha.begin() + static_cast<int64_t>(lead), alpha.end());
  FC_CHECK(alpha.size() <= x.size() && std::equal(tail.rbegin(), tail.rend(), x.rbegin()),
           "[prelu] alpha must match the last axes of x: expected alpha.shape to be a suffix of x.shape "
           "(after leading "
           "ones), got alpha.shape=",
           to_text(alpha), ", x.shape=", to_text(x), ". Give one slope per trailing cell.");
  s.inner = checked_count("prelu", "alpha", tail);
  const int64_t n = checked_count("prelu", "x", x);
  s.outer = s.inner == 0 ? 0 : n / s.inner;
  return s;
}

bool PreluSpec::find_shape(std::string_view name, Shape& out) const {
  if (name == "x" || name == "y") {
    out = x_shape;
  } else if (name == "alpha") {
    out = alpha_shape;
  } else {
    return false;
  }
  return true;
}

std::string PreluSpec::text() const {
  return text_of("outer", outer, "inner", inner);
}
double PreluSpec::flops(std::string_view) const {
  return static_cast<double>(outer * inner);
}

BinarySpec BinarySpec::make(DType dtype, BinaryKind kind, const Shape& a, const Shape& b) {
  static const char* const kNames[] = {"add", "subtract", "multiply", "maximum", "minimum", "divide"};
  const std::string op = kNames[static_cast<int>(kind)];
  BinarySpec s;
  s.dtype = dtype;
  s.kind = kind;
  s.a_shape = a;
  s.b_shape = b;
  const size_t rank = std::max(a.size(), b.size());
  s.y_shape.assign(rank, 1);
  for (size_t i = 0; i < rank; ++i) {  // from the last axis, as NumPy aligns
    const int64_t ea = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t eb = i < b.size() ? b[b.size() - 1 - i] : 1;
    FC_CHECK(ea == eb || ea == 1 || eb == 1, "[", op,
             "] shapes must broadcast: expected equal extents or 1 on every axis, got ",
             "a.shape=", to_text(a), ", b.shape=", to_text(b), ". Reshape one of them.");
    s.y_shape[rank - 1 - i] = ea == 1 ? eb : ea;
  }
  checked_count(op, "y", s.y_shape);
  return s;
}

bool BinarySpec::find_shape(std::string_view name, Shape& out) const {
  if (name == "a") {
    out = a_shape;
  } else if (name == "b") {
    out = b_shape;
  } else if (name == "y") {
    out = y_shape;
  } else {
    return false;
  }
  return true;
}

std::string BinarySpec::text() const {
  return text_of("a", extents_text(a_shape), "_b", extents_text(b_shape));
}

double BinarySpec::flops(std::string_view) const {
  double n = 1;
  for (const int64_t e : y_shape) n *= static_cast<double>(e);
  return n;
}

BoxSpec BoxSpec::make(DType dtype, const std::string& op, const Shape& x, const Shape& y,
                      const Shape& x_start, const Shape& y_start, const Shape& extent) {
  const size_t rank = x.size();
  FC_CHECK(y.size() == rank && x_start.size() == rank && y_start.size() == rank && extent.size() == rank, "[",
           op, "] ranks must agree: expected ", rank,
           " numbers for every axis list, got x.shape=", to_text(x), ", y.shape=", to_text(y), ".");
  for (size_t i = 0; i < rank; ++i) {
    FC_CHECK(extent[i] >= 0 && x_start[i] >= 0 && y_start[i] >= 0 && x_start[i] <= x[i] - extent[i] &&
                 y_start[i] <= y[i] - extent[i],
             "[", op, "] the box must lie inside both arrays: expected start + extent <= shape on axis ", i,
             ", got x.shape=", to_text(x), ", y.shape=", to_text(y), ", x_start=", to_text(x_start),
             ", y_start=", to_text(y_start), ", extent=", to_text(extent), ".");
  }
  checked_count(op, "x", x);
  checked_count(op, "y", y);
  BoxSpec s;
  s.dtype = dtype;
  s.x_shape = x, s.y_shape = y, s.x_start = x_start, s.y_start = y_start, s.extent = extent;
  return s;
}

bool BoxSpec::find_shape(std::string_view name, Shape& out) const {
  if (name == "x") {
    out = x_shape;
  } else if (name == "y") {
    out = y_shape;
  } else {
    return false;
  }
  return true;
}

std::string BoxSpec::text() const {
  return text_of("x", extents_text(x_shape), "_y", extents_text(y_shape));
}
double BoxSpec::flops(std::string_view) const {
  return 0;
}

}  // namespace fc
