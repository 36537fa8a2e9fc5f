// rnn_backward.cpp — gradients of a recurrent layer's steps, from the last to the first.
//
// Math       da, the gradient of the sums a of rnn_forward.cpp; dh += da·Rᵀ and what reaches the state
//            directly:
//            simple_rnn  da = dh·φ'
//            lstm        dc += dh·o·φ'(c)   da_i, da_f, da_g, da_o = dc·g·σ', dc·c_before·σ', dc·i·φ',
//                        dh·φ(c)·σ'   dc = dc·f
//            gru         da_h = dh·(1−z)·φ'   da_z = dh·(h_before − g)·σ'   da_r = da_h·m·σ'   dh = dh·z + …
//                        of the recurrent product: the same but da_h·r
//            gru_before  dm = da_h·R_hᵀ   da_r = dm·h_before·σ'   dh = dh·z + dm·r + …
//            dp = da. The gradient of R is before ᵀ·dr (of gru_before's candidate mᵀ·dr), of the bias Σ dr:
//            products and sums over all rows, which are kernels of their own
// Shapes     dy, dstate, y, state (N,T,U)  before (N,T,U), of gru_before (N,T,2·U)  gates (N,T,4·U)  dp, dr
//            (N,T,G·U)  h0 c0 dh0 dc0 (N,U)
//            dr: of gru alone, the others' is dp. null: dy, dstate that are zero; what there is none of
// Blocking   rnn.h
// Threads    over blocks of samples, each through all steps
// Numerics   derivatives from the activations' outputs; products as in rnn_forward.cpp
// Workspace  rnn_backward_workspace(spec, threads): packed weights; dh, dc and a row more for each thread
// Edges      an empty batch writes nothing
// Source     Werbos 1990, backpropagation through time
#include "cpu/kernels/rnn.h"
#include "cpu/kernels/table.h"

namespace fc::cpu::FC_ISA {
namespace {

// d[i] = d[i] · f'(x) where y[i] = f(x)
template <class T>
void multiply_slope(const Activation& activation, T* d, const T* y, int64_t n) {
  with_activation<T>(activation, [&](const auto& f) {
    if constexpr (requires { f.gradient_from_output(Vec<T>{}, Vec<T>{}); }) {  // ops ask for no other kind
      for_each_vector<T>(n, [&](int64_t i, int64_t m) {
        store_up_to(d + i, f.gradient_from_output(load_up_to(d + i, m), load_up_to(y + i, m)), m);
      });
    }
  });
}

template <class T>
struct Weights {
  StepProduct<T> gates;      // R transposed; of gru_before, that of z and r
  StepProduct<T> candidate;  // of gru_before alone, else of no rows

  Weights(const RnnSpec& s, WorkspaceCutter& cutter)
      : gates(depth(s), s.U, cutter), candidate(s.gates() * s.U - depth(s), s.U, cutter) {}

  static int64_t depth(const RnnSpec& s) { return (s.kind == RnnKind::gru_before ? 2 : s.gates()) * s.U; }

  void pack(const RnnSpec& s, const T* recurrent, int threads) const {
    const int64_t row = s.gates() * s.U;
    gates.pack(recurrent, 1, row, threads);
    if (s.kind == RnnKind::gru_before) candidate.pack(recurrent + depth(s), 1, row, threads);
  }
};

template <class T>
struct Scratch {
  T *dh, *dc, *dm, *zeros, *value;  // dm: of gru_before; value: φ(c) of a row
  const T** from;
  T **dh_rows, **dm_rows;

  Scratch(const RnnSpec& s, WorkspaceCutter& cutter) {
    const int64_t rows = rnn_block(s.N);
    dh = cutter.take<T>(rows * s.U);
    dc = cutter.take<T>(s.kind == RnnKind::lstm ? rows * s.U : 0);
    dm = cutter.take<T>(s.kind == RnnKind::gru_before ? rows * s.U : 0);
    zeros = cutter.take<T>(s.U);
    value = cutter.take<T>(s.U);
    from = cutter.take<const T*>(rows);
    dh_rows = cutter.take<T*>(rows);
    dm_rows = cutter.take<T*>(rows);
  }
};

template <class T>
size_t scratch_bytes(const RnnSpec& s) {
  WorkspaceCutter cutter(nullptr);
  Scratch<T>(s, cutter);
  return cutter.bytes();
}

template <class T>
struct Arrays {
  const T *dy, *dstate, *y, *gates, *state, *h0, *c0;
  T *dp, *dr, *before, *dh0, *dc0;
};

template <class T>
class Steps {
 public:
  Steps(const RnnSpec& s, const Weights<T>& weights, const Scratch<T>& scratch, int64_t block,
        const Arrays<T>& arrays)
      : s_(s),
        weights_(weights),
        x_(scratch),
        block_(s, block),
        U_(s.U),
        width_(s.gates() * s.U),
        a_(arrays) {}

  void run() const {
    const bool lstm = s_.kind == RnnKind::lstm;
    for (int64_t j = 0; j < U_; ++j) x_.zeros[j] = 0;
    for (int64_t i = 0; i < block_.count; ++i) {
      x_.dh_rows[i] = x_.dh + i * U_;
      copy_numbers(x_.zeros, x_.dh_rows[i], U_);
      if (lstm) copy_numbers(x_.zeros, x_.dc + i * U_, U_);
    }
    for (int64_t step = s_.T - 1; step >= 0; --step) {
      for (int64_t i = 0; i < block_.count; ++i) begin(i, step);
      if (s_.kind == RnnKind::gru_before) take_back_candidate(step);
      for (int64_t i = 0; i < block_.count; ++i) {
        x_.from[i] = block_.row(a_.dr != nullptr ? a_.dr : a_.dp, i, s_.time(step), width_);
      }
      const bool direct = s_.kind == RnnKind::gru || s_.kind == RnnKind::gru_before;
      weights_.gates.run(block_.count, x_.from, x_.dh_rows, direct);
    }
    for (int64_t i = 0; i < block_.count; ++i) {
      const int64_t at = (block_.first + i) * U_;
      if (a_.dh0 != nullptr) copy_numbers(x_.dh_rows[i], a_.dh0 + at, U_);
      if (a_.dc0 != nullptr) copy_numbers(x_.dc + i * U_, a_.dc0 + at, U_);
    }
  }

 private:
  void begin(int64_t i, int64_t step) const {
    T *dh = x_.dh_rows[i], *da = block_.row(a_.dp, i, s_.time(step), width_);
    const T* h = block_.before(a_.y, a_.h0, x_.zeros, i, step);
    keep_multiplied(i, step, h);
    if (a_.dy != nullptr) add_numbers(block_.row(a_.dy, i, s_.place(step), U_), dh, U_);
    if (s_.kind == RnnKind::simple_rnn) {
      copy_numbers(dh, da, U_);
      return multiply_slope(s_.activation, da, block_.row(a_.y, i, s_.place(step), U_), U_);
    }
    const T* gates = block_.row(a_.gates, i, s_.place(step), 4 * U_);
    if (s_.kind == RnnKind::lstm) return lstm(i, step, gates, dh, da);
    gru(gates, h, dh, da);
    if (s_.kind == RnnKind::gru) reset(gates, da, block_.row(a_.dr, i, s_.time(step), width_));
  }

  void keep_multiplied(int64_t i, int64_t step, const T* h) const {
    if (a_.before == nullptr) return;
    T* before = block_.row(a_.before, i, s_.time(step), s_.multiplied() * U_);
    copy_numbers(h, before, U_);
    if (s_.kind != RnnKind::gru_before) return;
    copy_numbers(block_.row(a_.gates, i, s_.place(step), 4 * U_) + 3 * U_, before + U_, U_);
  }

  void lstm(int64_t i, int64_t step, const T* gates, const T* dh, T* da) const {
    const T *input = gates, *forget = gates + U_, *g = forget + U_, *o = g + U_;
    const T* before = block_.before(a_.state, a_.c0, x_.zeros, i, step);
    T *dc = x_.dc + i * U_, *through_y = da;  // da as a row to spare
    copy_numbers(block_.row(a_.state, i, s_.place(step), U_), x_.value, U_);
    apply_activation(s_.activation, x_.value, U_);
    for_each_vector<T>(U_, [&](int64_t j, int64_t n) {
      store_up_to(through_y + j, load_up_to(dh + j, n) * load_up_to(o + j, n), n);
    });
    multiply_slope(s_.activation, through_y, x_.value, U_);
    add_numbers(through_y, dc, U_);
    if (a_.dstate != nullptr) add_numbers(block_.row(a_.dstate, i, s_.place(step), U_), dc, U_);
    for_each_vector<T>(U_, [&](int64_t j, int64_t n) {
      const Vec<T> d = load_up_to(dc + j, n);
      store_up_to(da + j, d * load_up_to(g + j, n), n);
      store_up_to(da + U_ + j, d * load_up_to(before + j, n), n);
      store_up_to(da + 2 * U_ + j, d * load_up_to(input + j, n), n);
      store_up_to(da + 3 * U_ + j, load_up_to(dh + j, n) * load_up_to(x_.value + j, n), n);
      store_up_to(dc + j, d * load_up_to(forget + j, n), n);
    });
    multiply_slope(s_.gate_activation, da, gates, 2 * U_);
    multiply_slope(s_.activation, da + 2 * U_, g, U_);
    multiply_slope(s_.gate_activation, da + 3 * U_, o, U_);
  }

  // da of z and of the candidate; dh becomes what the state gets directly.
  void gru(const T* gates, const T* h, T* dh, T* da) const {
    const T *z = gates, *g = gates + 2 * U_;
    for_each_vector<T>(U_, [&](int64_t j, int64_t n) {
      const Vec<T> d = load_up_to(dh + j, n), update = load_up_to(z + j, n);
      store_up_to(da + j, d * (load_up_to(h + j, n) - load_up_to(g + j, n)), n);
      store_up_to(da + 2 * U_ + j, d * (broadcast(T(1)) - update), n);
      store_up_to(dh + j, d * update, n);
    });
    multiply_slope(s_.gate_activation, da, z, U_);
    multiply_slope(s_.activation, da + 2 * U_, g, U_);
  }

  // da of r, and the gradient of the recurrent product.
  void reset(const T* gates, T* da, T* dr) const {
    const T *r = gates + U_, *m = gates + 3 * U_;
    for_each_vector<T>(U_, [&](int64_t j, int64_t n) {
      const Vec<T> d = load_up_to(da + 2 * U_ + j, n);
      store_up_to(da + U_ + j, d * load_up_to(m + j, n), n);
      store_up_to(dr + 2 * U_ + j, d * load_up_to(r + j, n), n);
    });
    multiply_slope(s_.gate_activation, da + U_, r, U_);
    copy_numbers(da, dr, 2 * U_);
  }

  void take_back_candidate(int64_t step) const {
    for (int64_t i = 0; i < block_.count; ++i) {
      x_.from[i] = block_.row(a_.dp, i, s_.time(step), width_) + 2 * U_;
      x_.dm_rows[i] = x_.dm + i * U_;
    }
    weights_.candidate.run(block_.count, x_.from, x_.dm_rows, false);
    for (int64_t i = 0; i < block_.count; ++i) {
      const T* h = block_.before(a_.y, a_.h0, x_.zeros, i, step);
      const T* r = block_.row(a_.gates, i, s_.place(step), 4 * U_) + U_;
      T *dm = x_.dm_rows[i], *dh = x_.dh_rows[i];
      T* da = block_.row(a_.dp, i, s_.time(step), width_) + U_;
      for_each_vector<T>(U_, [&](int64_t j, int64_t n) {
        const Vec<T> d = load_up_to(dm + j, n);
        store_up_to(da + j, d * load_up_to(h + j, n), n);
        store_up_to(dh + j, fma<T>(d, load_up_to(r + j, n), load_up_to(dh + j, n)), n);
      });
      multiply_slope(s_.gate_activation, da, r, U_);
    }
  }

  const RnnSpec& s_;
  const Weights<T>& weights_;
  const Scratch<T>& x_;
  RnnBlock<T> block_;
  int64_t U_, width_;
  Arrays<T> a_;
};

}  // namespace

template <class T>
size_t rnn_backward_workspace(const RnnSpec& s, int threads) {
  WorkspaceCutter cutter(nullptr);
  Weights<T>(s, cutter);
  return SlotWorkspace(cutter, scratch_bytes<T>(s), threads).total_bytes;
}

template <class T>
void rnn_backward(const RnnSpec& s, const T* dy, const T* dstate, const T* y, const T* gates, const T* state,
                  const T* recurrent, const T* h0, const T* c0, T* dp, T* dr, T* before, T* dh0, T* dc0,
                  const Context& context) {
  if (s.N == 0) return;
  const int threads = threads_for_steps(s, context.threads);
  WorkspaceCutter cutter(context.workspace);
  const Weights<T> weights(s, cutter);
  weights.pack(s, recurrent, threads);
  const SlotWorkspace slots(cutter, scratch_bytes<T>(s), threads);
  const Arrays<T> arrays{dy, dstate, y, gates, state, h0, c0, dp, dr, before, dh0, dc0};
  parallel_for_slots(threads, ceil_div(s.N, rnn_block(s.N)), [&](int64_t block, int slot) {
    WorkspaceCutter own = slots.at(slot);
    const Scratch<T> scratch(s, own);
    Steps<T>(s, weights, scratch, block, arrays).run();
  });
}

void add_rnn_backward(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, rnn_backward);
}

}  // namespace fc::cpu::FC_ISA
