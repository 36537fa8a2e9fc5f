// gemm_spec.h — a matrix product with the shape of a dense layer.
#pragma once

#include "core/activation.h"
#include "core/numerics.h"
#include "core/spec.h"

namespace fc {

// Tensors: x and gate (..., K) seen as (M,K), w (K,N), bias (N), y (..., N) seen as (M,N).
struct GemmSpec final : Spec {
  int64_t M, N, K;
  Shape leading;          // x's extents before the last; their product is M
  Activation activation;  // dense_forward applies it to y, dense_backward_input its gradient at `gate` to dx
  Numerics numerics = current_numerics();

  static GemmSpec make_dense(DType dtype, const Shape& x, const Shape& w, const Activation& activation);

  std::string text() const override;
  double flops(std::string_view kernel) const override;

 private:
  bool find_shape(std::string_view name, Shape& out) const override;
};

}  // namespace fc
