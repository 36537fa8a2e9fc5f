// activation.h — which elementwise function, with its parameters; shared by activation ops and fused
// epilogues.
#pragma once

#include <cstdint>
#include <string>

namespace fc {

enum class ActivationKind : uint8_t {
  linear,  // y = alpha * x + beta; as an epilogue (alpha 1, beta 0) it means none
  relu,
  relu6,
  leaky_relu,  // alpha = slope below zero
  elu,         // alpha
  selu,
  gelu,       // x * Phi(x), by erf
  gelu_tanh,  // the tanh approximation
  silu,
  hard_sigmoid,
  hard_swish,
  sigmoid,
  tanh,
  softplus,
  threshold,  // 1 where x > alpha, else 0; gradient 0
  clip,       // min(max(x, alpha), beta)
  exponential,
  mish,         // x * tanh(softplus(x))
  softsign,     // x / (1 + |x|)
  squareplus,   // (x + sqrt(x^2 + alpha)) / 2, alpha > 0
  shrink,       // x - beta where x > alpha, x + beta where x < -alpha, else 0
  sparse_plus,  // 0 where x <= -1, x where x >= 1, (x + 1)^2 / 4 between
};

struct Activation {
  ActivationKind kind = ActivationKind::linear;
  double alpha = 1;
  double beta = 0;
};

const char* name_of(ActivationKind kind);
// The kind called `name`, or ValueError listing the names.
ActivationKind activation_from_name(const std::string& op, const std::string& name);

}  // namespace fc
