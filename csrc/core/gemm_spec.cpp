// gemm_spec.cpp — the rules of a dense layer's product.
#include "core/gemm_spec.h"

namespace fc {

GemmSpec GemmSpec::make_dense(DType dtype, const Shape& x, const Shape& w, const Activation& activation) {
  const std::string op = "dense";
  FC_CHECK(x.size() >= 1, "[", op,
           "] x must have at least 1 dimension (..., D): expected 1 or more, got 0 (x.shape=", to_text(x),
           "). Wrap the scalar in an array.");
  FC_CHECK(w.size() == 2, "[", op, "] w must have 2 dimensions (D, U): expected 2, got ", w.size(),
           " (w.shape=", to_text(w), "). Reshape the weights.");
  FC_CHECK(x.back() >= 1, "[", op,
           "] x must have at least 1 feature: expected x.shape[-1] >= 1, got x.shape=", to_text(x),
           ". Only the leading axes may be empty.");
  FC_CHECK(w[1] >= 1, "[", op,
           "] w units must be at least 1: expected w.shape[1] >= 1, got w.shape=", to_text(w),
           ". Use one unit or more.");
  FC_CHECK(x.back() == w[0], "[", op, "] x has ", x.back(), " features, w expects ", w[0],
           ": expected x.shape[-1] == w.shape[0], got x.shape=", to_text(x), ", w.shape=", to_text(w),
           ". Weights are (features, units).");
  GemmSpec s;
  s.dtype = dtype;
  s.leading.assign(x.begin(), x.end() - 1);
  s.M = checked_count(op, "x", s.leading);
  s.K = w[0], s.N = w[1];
  s.activation = activation;
  checked_count(op, "w", w);
  checked_count(op, "x", {s.M, s.K});
  checked_count(op, "y", {s.M, s.N});
  return s;
}

bool GemmSpec::find_shape(std::string_view name, Shape& out) const {
  if (name == "x" || name == "y" || name == "gate") {
    out = leading;
    out.push_back(name == "y" ? N : K);
  } else if (name == "w") {
    out = {K, N};
  } else if (name == "bias") {
    out = {N};
  } else {
    return false;
  }
  return true;
}

std::string GemmSpec::text() const {
  std::string text = text_of("M", M, "K", K, "N", N);
  if (activation.kind != ActivationKind::linear) text += std::string("_") + name_of(activation.kind);
  return text;
}

double GemmSpec::flops(std::string_view) const {
  return 2.0 * static_cast<double>(M) * static_cast<double>(N) * static_cast<double>(K);
}

}  // namespace fc
