// pool2d_rescan.cpp — the gradient of maximum and minimum for windows too large for an index of one byte.
//
// Math       dx[n,h,w,c] = Σ dy[n,p,q,c] over the windows (p,q) that the cell won
// Shapes     dy (N,P,Q,C)  x, dx (N,H,W,C), C-contiguous
// Blocking   one window at a time, a register of channels at a time: x is scanned again to find the winner
// Threads    over pieces of dx that no two threads share: the rows under one p where windows do not overlap
//            downwards, else a cache line of channels of one image
// Numerics   a cell sums its windows in ascending order
// Edges      as in pool2d_forward.cpp
#include "core/pool2d_spec.h"
#include "cpu/kernels/pool2d.h"
#include "cpu/kernels/pool2d_window.h"
#include "cpu/kernels/table.h"
#include "cpu/kernels/work.h"
#include "cpu/parallel.h"
#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {
namespace {

// Bands of a window: so many rows that a lane can number their cells. A row alone always can (core/window.h).
struct Bands {
  const PoolWindow& w;
  int64_t height = max_of(1, int64_t{INT32_MAX} / w.columns);

  int64_t count() const { return ceil_div(w.rows, height); }
  PoolWindow operator[](int64_t i) const {
    PoolWindow band = w;
    band.first += i * height * w.row_step;
    band.rows = min_of(height, w.rows - i * height);
    return band;
  }
};

// Adds g to the cell that won the window, channel by channel.
template <class Order, class T>
FC_INLINE void route(const PoolWindow& w, Vec<T> g, const T* x, T* dx, int64_t count) {
  Vec<T> best = broadcast(Order::template kWorst<T>);
  IntVec<T> winner{}, winners_band{};
  const Bands bands{w};
  for (int64_t band = 0; band < bands.count(); ++band) {
    const Vec<T> before = best;
    for_each_cell(bands[band], [&](int64_t at, int64_t tap) {
      const Vec<T> v = load_up_to(x + at, count);
      const IntVec<T> better = Order::template beats<T>(v, best);
      best = better ? v : best;
      winner = better ? IntVec<T>{} + static_cast<IntLane<T>>(tap) : winner;
    });
    const IntVec<T> here = Order::template beats<T>(best, before);
    winners_band = here ? IntVec<T>{} + static_cast<IntLane<T>>(band) : winners_band;
  }
  for (int64_t band = 0; band < bands.count(); ++band) {
    const Vec<T> share = winners_band == static_cast<IntLane<T>>(band) ? g : zero<T>();
    for_each_cell(bands[band], [&](int64_t at, int64_t tap) {
      const IntVec<T> here = winner == static_cast<IntLane<T>>(tap);
      store_up_to(dx + at, load_up_to(dx + at, count) + (here ? share : zero<T>()), count);
    });
  }
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
  const Crew threads = threads_for(s.N * s.H * s.W * s.C, context.threads);
  parallel_for(threads, s.N * p_blocks * c_blocks, [&](int64_t task) {
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
  if (s.kind == PoolKind::max) {
    return run([](const PoolWindow& w, Vec<T> g, const T* from, T* to, int64_t count) {
      route<Max>(w, g, from, to, count);
    });
  }
  run([](const PoolWindow& w, Vec<T> g, const T* from, T* to, int64_t count) {
    route<Min>(w, g, from, to, count);
  });
}

}  // namespace

void add_pool2d_rescan(KernelTable& table) {
  FC_ADD(table, pool2d_backward);
}

}  // namespace fc::cpu::FC_ISA
