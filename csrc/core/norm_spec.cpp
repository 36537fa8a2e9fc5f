// norm_spec.cpp — the rules of normalisations and softmax.
#include "core/norm_spec.h"

namespace fc {

NormSpec NormSpec::make(DType dtype, const std::string& op, const Shape& x, double epsilon, double momentum,
                        const Activation& activation, bool centred) {
  FC_CHECK(x.size() >= 1, "[", op,
           "] x must have at least 1 dimension: expected 1 or more, got 0 (x.shape=", to_text(x),
           "). Wrap the scalar in an array.");
  FC_CHECK(x.back() >= 1, "[", op,
           "] the last axis of x must not be empty: expected x.shape[-1] >= 1, got x.shape=", to_text(x),
           ". Only the leading axes may be empty.");
  FC_CHECK(epsilon > 0 && epsilon < 1e30, "[", op,
           "] epsilon must be a small positive number: expected 0 < epsilon < 1e30, got epsilon=", epsilon,
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
  s.centred = centred;
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
  return text_of("rows", rows, "width", width, plain ? "" : "_", plain ? "" : name_of(activation.kind),
                 centred ? "" : "_uncentred");
}
double NormSpec::flops(std::string_view) const {
  return 8.0 * static_cast<double>(rows * width);
}

GroupNormSpec GroupNormSpec::make(DType dtype, const Shape& x, int64_t groups, double epsilon) {
  FC_CHECK(x.size() >= 2,
           "[group_norm] x must have a batch axis and a channel axis: expected 2 or more, got ", x.size(),
           " (x.shape=", to_text(x), "). Reshape x.");
  for (size_t i = 1; i < x.size(); ++i) {
    FC_CHECK(x[i] >= 1, "[group_norm] samples must have cells: expected x.shape[", i,
             "] >= 1, got x.shape=", to_text(x), ". Only the batch may be empty.");
  }
  FC_CHECK(groups >= 1 && x.back() % groups == 0,
           "[group_norm] channels must be divisible by groups: expected C % groups == 0, got C=", x.back(),
           " (x.shape=", to_text(x), "), groups=", groups, ". Use a divisor of ", x.back(), ".");
  FC_CHECK(epsilon > 0 && epsilon < 1e30,
           "[group_norm] epsilon must be a small positive number: expected 0 < epsilon < 1e30, got epsilon=",
           epsilon, ". The default is 1e-3.");
  GroupNormSpec s;
  s.dtype = dtype;
  s.x_shape = x;
  s.samples = x[0];
  s.rows = checked_count("group_norm", "x", Shape(x.begin() + 1, x.end() - 1));
  s.channels = x.back();
  checked_count("group_norm", "x", x);
  s.groups = groups;
  s.epsilon = epsilon;
  return s;
}

bool GroupNormSpec::find_shape(std::string_view name, Shape& out) const {
  if (name == "x" || name == "y") {
    out = x_shape;
  } else if (name == "gamma" || name == "beta") {
    out = {channels};
  } else if (name == "moments") {
    out = {samples, groups, 2};
  } else {
    return false;
  }
  return true;
}

std::string GroupNormSpec::text() const {
  return text_of("N", samples, "M", rows, "C", channels, "g", groups);
}
double GroupNormSpec::flops(std::string_view) const {
  return 8.0 * static_cast<double>(samples * rows * channels);
}

}  // namespace fc
