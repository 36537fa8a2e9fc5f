// elementwise_spec.h — problems without windows or reductions over neighbours.
#pragma once

#include "core/activation.h"
#include "core/spec.h"

namespace fc {

// Any number of elements of one shape. Tensors: every name has `extents`, but for the names of scalars and
// settings: hyper (8), limits (2), factor (1), limit (1), seed (1), total (1).
struct VectorSpec : Spec {
  Shape extents;
  int64_t n;  // product of extents

  static VectorSpec make(DType dtype, const std::string& op, const Shape& extents);
  std::string text() const override;
  double flops(std::string_view kernel) const override;

 protected:
  bool find_shape(std::string_view name, Shape& out) const override;
};

struct ActivationSpec final : VectorSpec {
  Activation activation;
  static ActivationSpec make(DType dtype, const Shape& extents, const Activation& activation);
  std::string text() const override;
};

// y[i] = x[i] / (1 - rate) where the mask of (seed, i) keeps i, else 0.
struct DropoutSpec final : VectorSpec {
  double rate;
  static DropoutSpec make(DType dtype, const Shape& extents, double rate);
  std::string text() const override;
};

// y[i] = x[i] + stddev z[i], or x[i] (1 + stddev z[i]); z: standard normal, of (seed, i). Tensors: x, y,
// seed.
struct NoiseSpec final : VectorSpec {
  double stddev;
  bool multiply;
  static NoiseSpec make(DType dtype, const Shape& extents, double stddev, bool multiply);
  std::string text() const override;
};

// y = value everywhere.
struct FillSpec final : VectorSpec {
  double value;
  static FillSpec make(DType dtype, const Shape& extents, double value);
};

// y = x in the type `to`.
struct CastSpec final : VectorSpec {
  DType to;
  static CastSpec make(DType dtype, DType to, const Shape& extents);
  std::string text() const override;
};

// Tensors: x and y (outer..., inner...), alpha (inner...): alpha repeats over the leading axes.
struct PreluSpec final : Spec {
  int64_t outer, inner;
  Shape x_shape, alpha_shape;
  static PreluSpec make(DType dtype, const Shape& x, const Shape& alpha);
  std::string text() const override;
  double flops(std::string_view kernel) const override;

 private:
  bool find_shape(std::string_view name, Shape& out) const override;
};

enum class BinaryKind : uint8_t { add, subtract, multiply, maximum, minimum, divide };

// y = a (op) b with NumPy's broadcasting. Tensors: a, b, y.
struct BinarySpec final : Spec {
  BinaryKind kind;
  Shape a_shape, b_shape, y_shape;
  static BinarySpec make(DType dtype, BinaryKind kind, const Shape& a, const Shape& b);
  std::string text() const override;
  double flops(std::string_view kernel) const override;

 private:
  bool find_shape(std::string_view name, Shape& out) const override;
};

// Copies a box of `extent` cells at x_start in x to y_start in y and leaves the rest of y alone: the one move
// behind concatenate, pad, crop and slice. Tensors: x, y (same rank).
struct BoxSpec final : Spec {
  Shape x_shape, y_shape, x_start, y_start, extent;
  static BoxSpec make(DType dtype, const std::string& op, const Shape& x, const Shape& y,
                      const Shape& x_start, const Shape& y_start, const Shape& extent);
  std::string text() const override;
  double flops(std::string_view kernel) const override;

 private:
  bool find_shape(std::string_view name, Shape& out) const override;
};

}  // namespace fc
