// norm_spec.h — problems on a matrix view (rows, width): normalisations, softmax.
#pragma once

#include "core/activation.h"
#include "core/spec.h"

namespace fc {

// x of any rank >= 2 seen as (rows, width), width = the last axis.
// Tensors: x, y, residual (x's shape); gamma, beta, mean, variance, new_mean, new_variance, batch_mean,
// batch_rstd, scale (width);
//          row_mean, row_rstd (rows).
struct NormSpec final : Spec {
  Shape x_shape;
  int64_t rows, width;
  double epsilon = 0;     // batch and layer norm: added to the variance
  double momentum = 0;    // batch norm: new = momentum * old + (1 - momentum) * batch
  Activation activation;  // batch norm, of the sum with the residual: linear or relu
  bool centred = true;    // layer norm; else its mean is taken for 0, and the variance is the mean square

  static NormSpec make(DType dtype, const std::string& op, const Shape& x, double epsilon, double momentum,
                       const Activation& activation, bool centred);

  std::string text() const override;
  double flops(std::string_view kernel) const override;

 private:
  bool find_shape(std::string_view name, Shape& out) const override;
};

// x (N, ..., C) seen as N samples of `rows` pixels of `channels` channels, which `groups` share equally;
// every group of a sample is normalised by its own moments. Tensors: x, y (x's shape); gamma, beta (C);
// moments (N, groups, 2): mean and 1/sqrt(variance + epsilon).
struct GroupNormSpec final : Spec {
  Shape x_shape;
  int64_t samples, rows, channels, groups;
  double epsilon;

  static GroupNormSpec make(DType dtype, const Shape& x, int64_t groups, double epsilon);
  int64_t group_channels() const { return channels / groups; }
  std::string text() const override;
  double flops(std::string_view kernel) const override;

 private:
  bool find_shape(std::string_view name, Shape& out) const override;
};

}  // namespace fc
