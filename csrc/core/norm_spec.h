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

  static NormSpec make(DType dtype, const std::string& op, const Shape& x, double epsilon, double momentum,
                       const Activation& activation);

  std::string text() const override;
  double flops(std::string_view kernel) const override;

 private:
  bool find_shape(std::string_view name, Shape& out) const override;
};

}  // namespace fc
