// rnn_forward.cpp — the steps of a recurrent layer.
//
// Math       with a = p[t] + h·R + bias, split into gates, σ the gates' activation and φ the other:
//            simple_rnn  h = φ(a)
//            lstm        i, f, g, o = σ(a_i), σ(a_f), φ(a_g), σ(a_o)   c = f·c + i·g   h = o·φ(c)
//            gru         z, r = σ(a_z), σ(a_r)   m = h·R_h + bias_h   g = φ(p_h + r·m)   h = z·h + (1−z)·g
//            gru_before  the same with m = r·h, g = φ(p_h + m·R_h + bias_h)
// Shapes     p (N,T,G·U)  recurrent (U,G·U)  bias (G·U), h0, c0 (N,U) or null  y (N,T,U)
//            gates (N,T,4·U): i f g o of lstm, z r g m of gru; state (N,T,U): c of lstm
// Blocking   rnn.h; a step's sums are formed where the gates are kept (simple_rnn: in y)
// Threads    over blocks of samples, each through all steps
// Numerics   a sum begins with p, then one chain of fma ascending in the units; activations: simd/math.h. A
//            sample's bits do not depend on its batch
// Workspace  rnn_forward_workspace(spec, threads): packed weights, and pointers to a block's rows for each
//            thread
// Edges      an empty batch writes nothing
// Source     Hochreiter and Schmidhuber 1997; Cho et al. 2014; Keras 3 for the order of the gates
#include "cpu/kernels/rnn.h"
#include "cpu/kernels/table.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
struct Weights {
  StepProduct<T> gates;      // all columns; of gru_before, those of z and r
  StepProduct<T> candidate;  // of gru_before alone, else without columns

  Weights(const RnnSpec& s, WorkspaceCutter& cutter)
      : gates(s.U, columns(s), cutter), candidate(s.U, s.gates() * s.U - columns(s), cutter) {}

  static int64_t columns(const RnnSpec& s) { return (s.kind == RnnKind::gru_before ? 2 : s.gates()) * s.U; }

  void pack(const RnnSpec& s, const T* recurrent, int threads) const {
    const int64_t row = s.gates() * s.U;
    gates.pack(recurrent, row, 1, threads);
    if (s.kind == RnnKind::gru_before) candidate.pack(recurrent + columns(s), row, 1, threads);
  }
};

// A thread's own: zeros, and pointers to what a block's products read and write.
template <class T>
struct Scratch {
  T* zeros;
  const T** before;
  T** out;

  Scratch(const RnnSpec& s, WorkspaceCutter& cutter) {
    const int64_t rows = rnn_block(s.N);
    zeros = cutter.take<T>(s.U);
    before = cutter.take<const T*>(rows);
    out = cutter.take<T*>(rows);
  }
};

template <class T>
size_t scratch_bytes(const RnnSpec& s) {
  WorkspaceCutter cutter(nullptr);
  Scratch<T>(s, cutter);
  return cutter.bytes();
}

template <class T>
class Steps {
 public:
  Steps(const RnnSpec& s, const Weights<T>& weights, const Scratch<T>& scratch, int64_t block, const T* p,
        const T* bias, const T* h0, const T* c0, T* y, T* gates, T* state)
      : s_(s),
        weights_(weights),
        scratch_(scratch),
        block_(s, block),
        U_(s.U),
        width_(s.gates() * s.U),
        p_(p),
        bias_(bias),
        h0_(h0),
        c0_(c0),
        y_(y),
        gates_(gates),
        state_(state) {}

  void run() const {
    for (int64_t j = 0; j < U_; ++j) scratch_.zeros[j] = 0;
    for (int64_t step = 0; step < s_.T; ++step) {
      for (int64_t i = 0; i < block_.count; ++i) begin(i, step);
      weights_.gates.run(block_.count, scratch_.before, scratch_.out, true);
      if (s_.kind == RnnKind::gru_before) multiply_candidate(step);
      for (int64_t i = 0; i < block_.count; ++i) finish(i, step);
    }
  }

 private:
  // The sums of a step, then its gates.
  T* sums(int64_t i, int64_t step) const {
    if (s_.kind == RnnKind::simple_rnn) return block_.row(y_, i, s_.place(step), U_);
    return block_.row(gates_, i, s_.place(step), 4 * U_);
  }

  // What the sums begin with. The reset gate of gru scales the product alone, so p is added to that later.
  void begin(int64_t i, int64_t step) const {
    const T* p = block_.row(p_, i, s_.time(step), width_);
    T* a = sums(i, step);
    const int64_t from_inputs = s_.kind == RnnKind::gru ? 2 * U_ : width_;
    copy_numbers(p, a, from_inputs);
    for (int64_t j = from_inputs; j < width_; ++j) a[j] = 0;
    if (bias_ != nullptr) add_numbers(bias_, a, width_);
    scratch_.before[i] = block_.before(y_, h0_, scratch_.zeros, i, step);
    scratch_.out[i] = a;
  }

  void multiply_candidate(int64_t step) const {
    for (int64_t i = 0; i < block_.count; ++i) {
      T *a = sums(i, step), *m = a + 3 * U_;
      apply_activation(s_.gate_activation, a, 2 * U_);
      const T* h = scratch_.before[i];
      for_each_vector<T>(U_, [&](int64_t j, int64_t n) {
        store_up_to(m + j, load_up_to(a + U_ + j, n) * load_up_to(h + j, n), n);
      });
      scratch_.before[i] = m;
      scratch_.out[i] = a + 2 * U_;
    }
    weights_.candidate.run(block_.count, scratch_.before, scratch_.out, true);
    for (int64_t i = 0; i < block_.count; ++i)
      scratch_.before[i] = block_.before(y_, h0_, scratch_.zeros, i, step);
  }

  void finish(int64_t i, int64_t step) const {
    T* a = sums(i, step);
    T* y = block_.row(y_, i, s_.place(step), U_);
    switch (s_.kind) {
      case RnnKind::simple_rnn:
        return apply_activation(s_.activation, y, U_);
      case RnnKind::lstm:
        return finish_lstm(i, step, a, y);
      case RnnKind::gru:
        apply_activation(s_.gate_activation, a, 2 * U_);
        reset_product(block_.row(p_, i, s_.time(step), width_) + 2 * U_, a);
        return finish_gru(i, a, y);
      case RnnKind::gru_before:
        return finish_gru(i, a, y);
    }
  }

  void finish_lstm(int64_t i, int64_t step, T* a, T* y) const {
    apply_activation(s_.gate_activation, a, 2 * U_);
    apply_activation(s_.activation, a + 2 * U_, U_);
    apply_activation(s_.gate_activation, a + 3 * U_, U_);
    const T* before = block_.before(state_, c0_, scratch_.zeros, i, step);
    T* c = block_.row(state_, i, s_.place(step), U_);
    for_each_vector<T>(U_, [&](int64_t j, int64_t n) {
      const Vec<T> kept = load_up_to(a + U_ + j, n) * load_up_to(before + j, n);
      store_up_to(c + j, fma<T>(load_up_to(a + j, n), load_up_to(a + 2 * U_ + j, n), kept), n);
    });
    copy_numbers(c, y, U_);
    apply_activation(s_.activation, y, U_);
    for_each_vector<T>(U_, [&](int64_t j, int64_t n) {
      store_up_to(y + j, load_up_to(y + j, n) * load_up_to(a + 3 * U_ + j, n), n);
    });
  }

  // m, the product of the candidate's weights, is kept; the candidate is p + r·m.
  void reset_product(const T* p, T* a) const {
    T *r = a + U_, *g = r + U_, *m = g + U_;
    for_each_vector<T>(U_, [&](int64_t j, int64_t n) {
      const Vec<T> product = load_up_to(g + j, n);
      store_up_to(m + j, product, n);
      store_up_to(g + j, fma<T>(load_up_to(r + j, n), product, load_up_to(p + j, n)), n);
    });
  }

  void finish_gru(int64_t i, T* a, T* y) const {
    T *z = a, *g = a + 2 * U_;
    apply_activation(s_.activation, g, U_);
    const T* h = scratch_.before[i];
    for_each_vector<T>(U_, [&](int64_t j, int64_t n) {
      const Vec<T> candidate = load_up_to(g + j, n);
      store_up_to(y + j, fma<T>(load_up_to(z + j, n), load_up_to(h + j, n) - candidate, candidate), n);
    });
  }

  const RnnSpec& s_;
  const Weights<T>& weights_;
  const Scratch<T>& scratch_;
  RnnBlock<T> block_;
  int64_t U_, width_;
  const T *p_, *bias_, *h0_, *c0_;
  T *y_, *gates_, *state_;
};

}  // namespace

template <class T>
size_t rnn_forward_workspace(const RnnSpec& s, int threads) {
  WorkspaceCutter cutter(nullptr);
  Weights<T>(s, cutter);
  return SlotWorkspace(cutter, scratch_bytes<T>(s), threads).total_bytes;
}

template <class T>
void rnn_forward(const RnnSpec& s, const T* p, const T* recurrent, const T* bias, const T* h0, const T* c0,
                 T* y, T* gates, T* state, const Context& context) {
  if (s.N == 0) return;
  const int threads = threads_for_steps(s, context.threads);
  WorkspaceCutter cutter(context.workspace);
  const Weights<T> weights(s, cutter);
  weights.pack(s, recurrent, threads);
  const SlotWorkspace slots(cutter, scratch_bytes<T>(s), threads);
  parallel_for_slots(threads, ceil_div(s.N, rnn_block(s.N)), [&](int64_t block, int slot) {
    WorkspaceCutter own = slots.at(slot);
    const Scratch<T> scratch(s, own);
    Steps<T>(s, weights, scratch, block, p, bias, h0, c0, y, gates, state).run();
  });
}

void add_rnn_forward(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, rnn_forward);
}

}  // namespace fc::cpu::FC_ISA
