// rnn_spec.cpp — the rules of recurrent layers.
#include "core/rnn_spec.h"

namespace fc {
namespace {

constexpr const char* kNames[] = {"simple_rnn", "lstm", "gru", "gru_before"};

}  // namespace

RnnSpec RnnSpec::make(DType dtype, RnnKind kind, const Shape& p, const Shape& recurrent,
                      const Activation& activation, const Activation& gate_activation, bool reverse,
                      bool aligned) {
  const std::string op = kind == RnnKind::gru_before ? "gru" : kNames[static_cast<int>(kind)];
  RnnSpec s;
  s.dtype = dtype;
  s.kind = kind;
  FC_CHECK(p.size() == 3, "[", op, "] x must have 3 dimensions (N, T, D): expected 3, got ", p.size(),
           " (x.shape[:-1]=", to_text(Shape(p.begin(), p.end() - (p.empty() ? 0 : 1))),
           "). Give every sample its steps.");
  FC_CHECK(recurrent.size() == 2, "[", op, "] recurrent_kernel must have 2 dimensions (U, ", s.gates(),
           "*U): expected 2, got ", recurrent.size(), " (recurrent_kernel.shape=", to_text(recurrent),
           "). Reshape it.");
  FC_CHECK(recurrent[0] >= 1 && recurrent[1] == s.gates() * recurrent[0], "[", op,
           "] recurrent_kernel must hold ", s.gates(), " gates of U units: expected shape (U, ", s.gates(),
           "*U), U >= 1, got recurrent_kernel.shape=", to_text(recurrent), ". Rows are units.");
  FC_CHECK(p[2] == recurrent[1], "[", op, "] kernel must have the units of recurrent_kernel: expected ",
           recurrent[1], " columns, got ", p[2], ". Both hold ", s.gates(), " gates of U units.");
  FC_CHECK(p[1] >= 1, "[", op, "] x must have at least 1 step: expected x.shape[1] >= 1, got ", p[1],
           ". Only the batch may be empty.");
  s.N = p[0], s.T = p[1], s.U = recurrent[0];
  checked_count(op, "recurrent_kernel", recurrent);
  checked_count(op, "x", p);
  checked_count(op, "gates", {s.N, s.T, 4, s.U});
  s.activation = activation;
  s.gate_activation = gate_activation;
  s.reverse = reverse;
  s.aligned = aligned;
  return s;
}

bool RnnSpec::find_shape(std::string_view name, Shape& out) const {
  if (name == "p" || name == "dr") {
    out = {N, T, gates() * U};
  } else if (name == "recurrent") {
    out = {U, gates() * U};
  } else if (name == "bias") {
    out = {gates() * U};
  } else if (name == "h0" || name == "c0") {
    out = {N, U};
  } else if (name == "y" || name == "state") {
    out = {N, T, U};
  } else if (name == "before") {
    out = {N, T, multiplied() * U};
  } else if (name == "gates") {
    out = {N, T, saved() * U};
  } else {
    return false;
  }
  return true;
}

std::string RnnSpec::text() const {
  return text_of(kNames[static_cast<int>(kind)], "_N", N, "T", T, "U", U, reverse ? "_reverse" : "");
}

double RnnSpec::flops(std::string_view) const {
  return 2.0 * static_cast<double>(N) * static_cast<double>(T) * static_cast<double>(U) *
         static_cast<double>(gates() * U);
}

}  // namespace fc
