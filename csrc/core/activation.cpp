// activation.cpp — activations by name.
#include "core/activation.h"

#include <iterator>

#include "core/check.h"

namespace fc {
namespace {

constexpr const char* kNames[] = {"linear",     "relu",        "relu6",     "leaky_relu", "elu",
                                  "selu",       "gelu",        "gelu_tanh", "silu",       "hard_sigmoid",
                                  "hard_swish", "sigmoid",     "tanh",      "softplus",   "threshold",
                                  "clip",       "exponential", "mish",      "softsign",   "squareplus",
                                  "shrink",     "sparse_plus"};

}  // namespace

const char* name_of(ActivationKind kind) {
  return kNames[static_cast<int>(kind)];
}

ActivationKind activation_from_name(const std::string& op, const std::string& name) {
  std::string known;
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (name == kNames[i]) return static_cast<ActivationKind>(i);
    known += (i ? ", " : "") + std::string(kNames[i]);
  }
  throw ValueError(text_of("[", op, "] activation is not known: expected one of ", known,
                           ", got activation='", name, "'. Use one of these names or None."));
}

}  // namespace fc
