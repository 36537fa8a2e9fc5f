// pool2d_forward.cpp — maximum, minimum, average and sum over windows.
//
// Math       y[n,p,q,c] = reduce over r,s of x[n, p·sh−pt+r·dh, q·sw−pl+s·dw, c]; cells outside are left out
//            index[n,p,q,c] = r·S + s of the cell that won a maximum or minimum
// Shapes     x (N,H,W,C)  y (N,P,Q,C)  index (N,P,Q,C) of bytes; y or index may be null   C-contiguous
// Blocking   a window at a time, a register of channels at a time; 2x2 and 3x3 windows inside the image are
//            unrolled. A window's rows stay in L1 for the next ones; stream.h where x outgrows the caches
// Threads    over rows (n,p)
// Numerics   sums in row-major order of the window, in the type of x, of more than 4096 cells in blocks, and
//            these in double; an average divides once
// Edges      NaN wins a maximum or minimum; equals, and NaNs among themselves, go to the first cell in
//            row-major order
#include "cpu/kernels/pool2d.h"
#include "cpu/kernels/pool2d_window.h"
#include "cpu/kernels/reduce.h"
#include "cpu/parallel.h"
#include "cpu/simd/stream.h"

namespace fc::cpu::FC_ISA {
namespace {

// f(offset of the cell, r, s) for the cells of a window, in row-major order; R and S not 0 are its known
// extent.
template <int R, int S, class F>
FC_INLINE void for_cells(const PoolWindow& w, const F& f) {
  const int64_t rows = R > 0 ? R : w.rows, columns = S > 0 ? S : w.columns;
#pragma GCC unroll 3
  for (int64_t r = 0; r < rows; ++r) {
#pragma GCC unroll 3
    for (int64_t s = 0; s < columns; ++s) f(w.first + r * w.row_step + s * w.column_step, r, s);
  }
}

// Where results go: past the caches when what is read for them outgrows these, since nobody finds them there.
template <class T>
struct Results {
  T* y;
  bool past_caches;

  Results(const Pool2dSpec& s, T* results)
      : y(results),
        past_caches(outgrows_caches<T>(s.N * s.H * s.W * s.C) && s.C % kLanes<T> == 0 &&
                    is_aligned(results)) {}
  FC_INLINE void put(int64_t at, Vec<T> v, int64_t count) const {
    past_caches ? stream(y + at, v) : store_up_to(y + at, v, count);
  }
};

template <class T, class Order, bool Indexed>
struct Extreme {
  Results<T> results;  // of null where only the index is wanted
  uint8_t* index;
  int64_t taps_w;

  template <int R, int S>
  FC_INLINE void reduce(const PoolWindow& w, const T* x, int64_t at, int64_t count) const {
    Vec<T> best = load_up_to(x + w.first, count);
    IntVec<T> winner{};
    for_cells<R, S>(w, [&](int64_t cell, int64_t r, int64_t s) {
      const Vec<T> v = load_up_to(x + cell, count);
      const IntVec<T> better = Order::template beats<T>(v, best);
      best = better ? v : best;
      if constexpr (Indexed) winner = better ? IntVec<T>{} + static_cast<IntLane<T>>(r * taps_w + s) : winner;
    });
    if (!Indexed || results.y != nullptr) results.put(at, best, count);
    if (Indexed) store_bytes<T>(index + at, winner + static_cast<IntLane<T>>(w.first_tap), count);
  }
};

template <class T>
struct Total {
  Results<T> results;
  bool average;

  template <int R, int S>
  FC_INLINE void reduce(const PoolWindow& w, const T* x, int64_t at, int64_t count) const {
    if (R == 0 && w.rows * w.columns > kSumBlock) return reduce_many(w, x, at, count);
    Vec<T> sum = zero<T>();
    for_cells<R, S>(w, [&](int64_t cell, int64_t, int64_t) { sum += load_up_to(x + cell, count); });
    results.put(at, average ? sum / broadcast(static_cast<T>(w.divisor)) : sum, count);
  }

  // Sums whose error does not grow with the window.
  void reduce_many(const PoolWindow& w, const T* x, int64_t at, int64_t count) const {
    double totals[kLanes<T>] = {};
    Vec<T> sum = zero<T>();
    const auto add_block = [&] {
      for (int64_t i = 0; i < kLanes<T>; ++i) totals[i] += static_cast<double>(sum[i]);
      sum = zero<T>();
    };
    int64_t left = kSumBlock;
    for_cells<0, 0>(w, [&](int64_t cell, int64_t, int64_t) {
      sum += load_up_to(x + cell, count);
      if (--left == 0) add_block(), left = kSumBlock;
    });
    add_block();
    const double divisor = average ? static_cast<double>(w.divisor) : 1;
    for (int64_t i = 0; i < count; ++i) results.y[at + i] = static_cast<T>(totals[i] / divisor);
  }
};

// Windows [begin, end) of an output row, the first one at `w`, the next ones `step` elements further on.
template <int R, int S, class T, class Kind>
void reduce_windows(const Kind& kind, PoolWindow w, int64_t step, int64_t begin, int64_t end, const T* image,
                    int64_t channels, int64_t at) {
  for (int64_t q = begin; q < end; ++q, w.first += step) {
    const T* x = image;
    for_each_vector<T>(channels, [&](int64_t c, int64_t count) {
      kind.template reduce<R, S>(w, x + c, at + q * channels + c, count);
    });
  }
}

template <class T, class Kind>
void reduce_all(const Pool2dSpec& s, const T* x, const Kind& kind, const Context& context) {
  const Crew threads = threads_for(s.N * max_of(s.H * s.W, s.P * s.Q) * s.C, context.threads);
  parallel_for(threads, s.N * s.P, [&](int64_t row) {
    const T* image = x + row / s.P * s.H * s.W * s.C;
    const PoolRow windows(s, row % s.P);
    const int64_t at = row * s.Q * s.C, step = s.stride_w * s.C;
    const PoolRow::Run inside = windows.inside();
    const auto one_by_one = [&](int64_t begin, int64_t end) {
      for (int64_t q = begin; q < end; ++q) {
        reduce_windows<0, 0>(kind, windows.window(q), 0, q, q + 1, image, s.C, at);
      }
    };
    one_by_one(0, inside.begin);
    if (inside.begin < inside.end) {
      const PoolWindow first = windows.window(inside.begin);
      const auto run = [&](const auto& reduce) {
        reduce(kind, first, step, inside.begin, inside.end, image, s.C, at);
      };
      if (first.rows == 2 && first.columns == 2) {
        run(reduce_windows<2, 2, T, Kind>);
      } else if (first.rows == 3 && first.columns == 3) {
        run(reduce_windows<3, 3, T, Kind>);
      } else {
        run(reduce_windows<0, 0, T, Kind>);
      }
    }
    one_by_one(inside.end, s.Q);
  });
}

template <class T>
void pool2d_forward(const Pool2dSpec& s, const T* x, T* y, uint8_t* index, const Context& context) {
  if (y == nullptr && index == nullptr) return;
  const Results<T> results(s, y);
  switch (s.kind) {
    case PoolKind::max:
      if (index == nullptr) return reduce_all(s, x, Extreme<T, Max, false>{results, index, s.S}, context);
      return reduce_all(s, x, Extreme<T, Max, true>{results, index, s.S}, context);
    case PoolKind::min:
      if (index == nullptr) return reduce_all(s, x, Extreme<T, Min, false>{results, index, s.S}, context);
      return reduce_all(s, x, Extreme<T, Min, true>{results, index, s.S}, context);
    case PoolKind::avg:
    case PoolKind::sum:
      if (y != nullptr) reduce_all(s, x, Total<T>{results, s.kind == PoolKind::avg}, context);
  }
}

}  // namespace

void add_pool2d_forward(KernelTable& table) {
  FC_ADD(table, pool2d_forward);
}

}  // namespace fc::cpu::FC_ISA
