// pool2d.cpp — maximum, minimum, average and sum over windows, and their gradients.
//
// Math       y[n,p,q,c] = reduce over r,s of x[n, p·sh−pt+r·dh, q·sw−pl+s·dw, c]; cells outside are left out
// Shapes     x (N,H,W,C)  y (N,P,Q,C), C-contiguous
// Blocking   one window at a time, a register of channels at a time: the window's rows stay in L1
// Threads    forward over rows (n,p); backward over pieces of dx that no two threads share, without atomics:
//            the rows under one p where windows do not overlap downwards, else a cache line of channels of
//            one image. Either way a cell of dx sums its windows in ascending order.
// Numerics   sums in row-major order of the window, in the type of x; an average divides once
// Edges      NaN wins a maximum or minimum; equals, and NaNs among themselves, go to the first cell in
//            row-major order. The gradient goes to that cell, found by scanning x again: no index is stored
#include <limits>

#include "core/pool2d_spec.h"
#include "cpu/kernels/pool2d_window.h"
#include "cpu/kernels/table.h"
#include "cpu/kernels/work.h"
#include "cpu/parallel.h"
#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {
namespace {

// kWorst starts a scan: any other value beats it, and a window of it alone keeps it, with its first cell the
// winner.
struct Max {
  template <class T>
  static constexpr T kWorst = -std::numeric_limits<T>::infinity();
  template <class T>
  static FC_INLINE IntVec<T> beats(Vec<T> v, Vec<T> best) {
    return (v > best) | ((v != v) & (best == best));
  }
};

struct Min {
  template <class T>
  static constexpr T kWorst = std::numeric_limits<T>::infinity();
  template <class T>
  static FC_INLINE IntVec<T> beats(Vec<T> v, Vec<T> best) {
    return (v < best) | ((v != v) & (best == best));
  }
};

template <class Order, class T>
FC_INLINE Vec<T> extreme(const PoolWindow& w, const T* x, int64_t count) {
  Vec<T> best = broadcast(Order::template kWorst<T>);
  for_each_cell(w, [&](int64_t at, int64_t) {
    const Vec<T> v = load_up_to(x + at, count);
    best = Order::template beats<T>(v, best) ? v : best;
  });
  return best;
}

template <class T>
FC_INLINE Vec<T> total(const PoolWindow& w, const T* x, int64_t count) {
  Vec<T> sum = zero<T>();
  for_each_cell(w, [&](int64_t at, int64_t) { sum += load_up_to(x + at, count); });
  return sum;
}

// y = reduce(window, channels of the image, how many of them fill the register).
template <class T, class Reduce>
void reduce_windows(const Pool2dSpec& s, const T* x, T* y, const Context& context, const Reduce& reduce) {
  parallel_for(threads_for(s.N * s.H * s.W * s.C, context.threads), s.N * s.P, [&](int64_t row) {
    const T* image = x + row / s.P * s.H * s.W * s.C;
    const PoolRow windows(s, row % s.P);
    for (int64_t q = 0; q < s.Q; ++q) {
      const PoolWindow w = windows.window(q);
      T* out = y + (row * s.Q + q) * s.C;
      for_each_vector<T>(
          s.C, [&](int64_t c, int64_t count) { store_up_to(out + c, reduce(w, image + c, count), count); });
    }
  });
}

template <class T>
void pool2d_forward(const Pool2dSpec& s, const T* x, T* y, const Context& context) {
  const auto run = [&](const auto& reduce) { reduce_windows(s, x, y, context, reduce); };
  switch (s.kind) {
    case PoolKind::max:
      return run([](const PoolWindow& w, const T* c, int64_t count) { return extreme<Max>(w, c, count); });
    case PoolKind::min:
      return run([](const PoolWindow& w, const T* c, int64_t count) { return extreme<Min>(w, c, count); });
    case PoolKind::avg:
      return run([](const PoolWindow& w, const T* c, int64_t count) {
        return total(w, c, count) / broadcast(static_cast<T>(w.divisor));
      });
    case PoolKind::sum:
      return run([](const PoolWindow& w, const T* c, int64_t count) { return total(w, c, count); });
  }
}

// Adds g to the cell that won the window, channel by channel.
template <class Order, class T>
FC_INLINE void route(const PoolWindow& w, Vec<T> g, const T* x, T* dx, int64_t count) {
  Vec<T> best = broadcast(Order::template kWorst<T>);
  IntVec<T> winner{};
  for_each_cell(w, [&](int64_t at, int64_t tap) {
    const Vec<T> v = load_up_to(x + at, count);
    const IntVec<T> better = Order::template beats<T>(v, best);
    best = better ? v : best;
    winner = better ? IntVec<T>{} + static_cast<IntLane<T>>(tap) : winner;
  });
  for_each_cell(w, [&](int64_t at, int64_t tap) {
    const IntVec<T> here = winner == static_cast<IntLane<T>>(tap);
    store_up_to(dx + at, load_up_to(dx + at, count) + (here ? g : zero<T>()), count);
  });
}

template <class T>
FC_INLINE void spread(const PoolWindow& w, Vec<T> g, T* dx, int64_t count) {
  for_each_cell(w, [&](int64_t at, int64_t) { store_up_to(dx + at, load_up_to(dx + at, count) + g, count); });
}

// A piece of dx that one thread owns, with the windows that reach it: output rows [p, p_end), channels [c,
// c_end).
struct Piece {
  int64_t n, p, p_end, c, c_end;
};

// f(piece) for pieces that cover dx.
template <class T, class F>
void for_each_piece(const Pool2dSpec& s, const Context& context, const F& f) {
  constexpr int64_t kCacheLine = 64 / sizeof(T);
  const bool rows_overlap = (s.R - 1) * s.dilation_h + 1 > s.stride_h;
  const int64_t p_block = rows_overlap ? s.P : 1, c_block = rows_overlap ? kCacheLine : s.C;
  const int64_t p_blocks = s.P / p_block, c_blocks = (s.C + c_block - 1) / c_block;
  parallel_for(context.threads, s.N * p_blocks * c_blocks, [&](int64_t task) {
    const int64_t n = task / (p_blocks * c_blocks);
    const int64_t p = task / c_blocks % p_blocks * p_block, c = task % c_blocks * c_block;
    f(Piece{n, p, p + p_block, c, c + c_block < s.C ? c + c_block : s.C});
  });
}

template <class T>
void clear_piece(const Pool2dSpec& s, const Piece& piece, T* dx) {
  const auto first_row = [&](int64_t p) {  // of p's share: what lies above its window is the previous one's
    const int64_t row = p == 0 ? 0 : p * s.stride_h - s.pad_top;
    return row < 0 ? 0 : row < s.H ? row : s.H;
  };
  const int64_t end = piece.p_end == s.P ? s.H : first_row(piece.p_end);
  for (int64_t cell = first_row(piece.p) * s.W; cell < end * s.W; ++cell) {
    for_each_vector<T>(piece.c_end - piece.c, [&](int64_t c, int64_t count) {
      store_up_to(dx + cell * s.C + piece.c + c, zero<T>(), count);
    });
  }
}

// share(window, g, channels of x, of dx, how many fill the register) adds a window's share to dx.
template <class T, class Share>
void share_windows(const Pool2dSpec& s, const T* dy, const T* x, T* dx, const Context& context,
                   const Share& share) {
  for_each_piece<T>(s, context, [&](const Piece& piece) {
    const int64_t image = piece.n * s.H * s.W * s.C;
    clear_piece(s, piece, dx + image);
    for (int64_t p = piece.p; p < piece.p_end; ++p) {
      const PoolRow windows(s, p);
      for (int64_t q = 0; q < s.Q; ++q) {
        const PoolWindow w = windows.window(q);
        const T* from = dy + ((piece.n * s.P + p) * s.Q + q) * s.C + piece.c;
        for_each_vector<T>(piece.c_end - piece.c, [&](int64_t c, int64_t count) {
          const int64_t at = image + piece.c + c;
          share(w, load_up_to(from + c, count), x + at, dx + at, count);
        });
      }
    }
  });
}

template <class T>
void pool2d_backward(const Pool2dSpec& s, const T* dy, const T* x, T* dx, const Context& context) {
  const auto run = [&](const auto& share) { share_windows(s, dy, x, dx, context, share); };
  switch (s.kind) {
    case PoolKind::max:
      return run([](const PoolWindow& w, Vec<T> g, const T* from, T* to, int64_t count) {
        route<Max>(w, g, from, to, count);
      });
    case PoolKind::min:
      return run([](const PoolWindow& w, Vec<T> g, const T* from, T* to, int64_t count) {
        route<Min>(w, g, from, to, count);
      });
    case PoolKind::avg:
      return run([](const PoolWindow& w, Vec<T> g, const T*, T* to, int64_t count) {
        spread(w, g / broadcast(static_cast<T>(w.divisor)), to, count);
      });
    case PoolKind::sum:
      return run(
          [](const PoolWindow& w, Vec<T> g, const T*, T* to, int64_t count) { spread(w, g, to, count); });
  }
}

}  // namespace

void add_pool2d(KernelTable& table) {
  FC_ADD(table, pool2d_forward);
  FC_ADD(table, pool2d_backward);
}

}  // namespace fc::cpu::FC_ISA
