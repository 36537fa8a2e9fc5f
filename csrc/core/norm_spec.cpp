// norm_spec.cpp — the rules of normalisations and softmax.
#include "core/norm_spec.h"

namespace fc {

NormSpec NormSpec::make(DType dtype, const std::string& op, const Shape& x, double epsilon, double momentum,
                        const Activation& activation) {
  FC_CHECK(x.size() >= 1, "[", op,
           "] x must have at least 1 dimension: expected 1 or more, got 0 (x.shape=", to_text(x),
           "). Wrap the scalar in an array.");
  FC_CHECK(x.back() >= 1, "[", op,
           "] the last axis of x must not be empty: expected x.shape[-1] >= 1, got x.shape=", to_text(x),
           ". Only the leading axes may be empty.");
  FC_CHECK(epsilon > 0 && epsilon < 1e30, "[", op,
           "] epsilon must be a small positive number: expected epsilon > 0, got epsilon=", epsilon,
           ". The default is 1e-3.");
  FC_CHECK(momentum >= 0 && momentum <= 1, "[", op,
           "] momentum must be in [0, 1]: expected 0 <= momentum <= 1, got momentum=", momentum,
           ". The default is 0.99.");
  const bool identity =
      activation.kind == ActivationKind::linear && activation.alpha == 1 && activation.beta == 0;
  FC_CHECK(identity || activation.kind == ActivationKind::relu, "[", op,
           "] activation must be one that the kernel takes in: expected linear or relu, got ",
           name_of(activation.kind), ". Apply it afterwards.");
  NormSpec s;
  s.dtype = dtype;
  s.x_shape = x;
  s.width = x.back();
  s.rows = checked_count(op, "x", Shape(x.begin(), x.end() - 1));
  checked_count(op, "x", x);
  s.epsilon = epsilon;
  s.momentum = momentum;
  s.activation = activation;
  return s;
}

bool NormSpec::find_shape(std::string_view name, Shape& out) const {
  if (name == "x" || name == "y" || name == "residual") {
    out = x_shape;
  } else if (name == "row_mean" || name == "row_rstd") {
    out = {rows};
  } else if (name == "gamma" || name == "beta" || name == "mean" || name == "variance" ||
             name == "new_mean" || name == "new_variance" || name == "batch_mean" || name == "batch_rstd" ||
             name == "scale") {
    out = {width};
  } else if (name == "moments" || name == "sums") {
    out = {2, width};
  } else {
    return false;
  }
  return true;
}

std::string NormSpec::text() const {
  const bool plain = activation.kind == ActivationKind::linear;
  return text_of("rows", rows, "width", width, plain ? "" : "_", plain ? "" : name_of(activation.kind));
}
double NormSpec::flops(std::string_view) const {
  return 8.0 * static_cast<double>(rows * width);
}

}  // namespace fc
