// rnn_spec.h — the steps of a recurrent layer over its projected inputs.
#pragma once

#include "core/activation.h"
#include "core/spec.h"

namespace fc {

// gru: the reset gate scales the recurrent product; gru_before: the state that goes into it.
enum class RnnKind : uint8_t { simple_rnn, lstm, gru, gru_before };

// Step s of a sequence reads the inputs of time(s), backwards where `reverse`, and has its results at
// place(s): in order of the steps or, where `aligned`, at the time of its inputs. Tensors: p, dp, dr
// (N,T,G*U), what the inputs add to the gates; recurrent (U,G*U); bias (G*U), of the recurrent product;
// h0, c0 (N,U), the state before step 0; y, state (N,T,U); gates (N,T,S*U), what the gradient needs; before
// (N,T,B*U), what the recurrent weights were multiplied with, at the time of the inputs: the state before
// and, of gru_before, m.
struct RnnSpec final : Spec {
  RnnKind kind;
  int64_t N, T, U;
  Activation activation, gate_activation;
  bool reverse, aligned;

  int64_t gates() const { return kind == RnnKind::simple_rnn ? 1 : kind == RnnKind::lstm ? 4 : 3; }
  int64_t saved() const { return kind == RnnKind::simple_rnn ? 0 : 4; }       // S
  int64_t multiplied() const { return kind == RnnKind::gru_before ? 2 : 1; }  // B
  int64_t time(int64_t step) const { return reverse ? T - 1 - step : step; }
  int64_t place(int64_t step) const { return aligned ? time(step) : step; }

  static RnnSpec make(DType dtype, RnnKind kind, const Shape& p, const Shape& recurrent,
                      const Activation& activation, const Activation& gate_activation, bool reverse,
                      bool aligned);
  std::string text() const override;
  double flops(std::string_view kernel) const override;

 private:
  bool find_shape(std::string_view name, Shape& out) const override;
};

}  // namespace fc
