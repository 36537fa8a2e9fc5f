// pool2d.cpp — maximum, minimum, average and sum over windows, and their gradients.
//
// Math       y[n,p,q,c] = reduce over r,s of x[n, p·sh−pt+r·dh, q·sw−pl+s·dw, c], cells outside the image
// left out Shapes     x (N,H,W,C)  y (N,P,Q,C), C-contiguous Blocking   one window at a time, a register of
// channels at a time: the window's rows stay in L1 Threads    forward over rows (n,p); backward over (n,
// block of channels), which one thread owns: no atomics, and sums
//            in dx run in ascending order of windows whatever the number of threads
// Numerics   float32 sums in row-major order of the window; the average divides once
// Edges      NaN wins a maximum or minimum, ties go to the first cell in row-major order; the gradient goes
// to that cell.
//            The backward of max and min scans x again: the forward stores no index.
#include "core/pool2d_spec.h"
#include "cpu/kernels/table.h"
#include "cpu/parallel.h"
#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {
namespace {

// The taps of one window that lie inside the image: rows h0, h0 + step, ..., likewise columns.
struct Range {
  int64_t first, count, step;
};

Range inside(int64_t position, int64_t stride, int64_t pad, int64_t taps, int64_t dilation, int64_t extent) {
  int64_t start = position * stride - pad;
  int64_t skipped = start < 0 ? (-start + dilation - 1) / dilation : 0;
  if (skipped > taps) skipped = taps;
  start += skipped * dilation;
  const int64_t fitting = start >= extent ? 0 : (extent - 1 - start) / dilation + 1;
  const int64_t left = taps - skipped;
  return {start, fitting < left ? fitting : left, dilation};
}

// Cells of the padded image (never beyond it) that a window covers: the divisor with count_include_pad.
int64_t padded_cells(int64_t position, int64_t stride, int64_t pad, int64_t pad_after, int64_t taps,
                     int64_t dilation, int64_t extent) {
  return inside(position, stride, 0, taps, dilation, extent + pad + pad_after).count;
}

struct WindowCells {
  Range rows, columns;
  int64_t divisor;  // of an average
};

WindowCells cells_of(const Pool2dSpec& s, int64_t p, int64_t q) {
  WindowCells w;
  w.rows = inside(p, s.stride_h, s.pad_top, s.R, s.dilation_h, s.H);
  w.columns = inside(q, s.stride_w, s.pad_left, s.S, s.dilation_w, s.W);
  w.divisor = w.rows.count * w.columns.count;
  if (s.count_include_pad) {
    w.divisor = padded_cells(p, s.stride_h, s.pad_top, s.pad_bottom, s.R, s.dilation_h, s.H) *
                padded_cells(q, s.stride_w, s.pad_left, s.pad_right, s.S, s.dilation_w, s.W);
  }
  return w;
}

// f(offset of the cell in the image, number of the tap in row-major order) for the window's cells.
template <class F>
FC_INLINE void for_each_cell(const Pool2dSpec& s, const WindowCells& w, const F& f) {
  int64_t tap = 0;
  for (int64_t r = 0; r < w.rows.count; ++r) {
    const int64_t row = (w.rows.first + r * w.rows.step) * s.W;
    for (int64_t t = 0; t < w.columns.count; ++t)
      f((row + w.columns.first + t * w.columns.step) * s.C, tap++);
  }
}

struct Max {
  template <class T>
  static auto beats(Vec<T> v, Vec<T> best) {
    return (v > best) | ((v != v) & (best == best));
  }
};

struct Min {
  template <class T>
  static auto beats(Vec<T> v, Vec<T> best) {
    return (v < best) | ((v != v) & (best == best));
  }
};

template <class Order, class T>
Vec<T> extreme(const Pool2dSpec& s, const WindowCells& w, const T* x, int64_t count) {
  Vec<T> best = zero<T>();
  for_each_cell(s, w, [&](int64_t at, int64_t tap) {
    const Vec<T> v = load_up_to(x + at, count);
    best = tap == 0 ? v : (Order::template beats<T>(v, best) ? v : best);
  });
  return best;
}

template <class T>
Vec<T> total(const Pool2dSpec& s, const WindowCells& w, const T* x, int64_t count) {
  Vec<T> sum = zero<T>();
  for_each_cell(s, w, [&](int64_t at, int64_t) { sum += load_up_to(x + at, count); });
  return sum;
}

template <class T>
void pool2d_forward(const Pool2dSpec& s, const T* x, T* y, const Context& context) {
  parallel_for(context.threads, s.N * s.P, [&](int64_t row) {
    const T* image = x + row / s.P * s.H * s.W * s.C;
    for (int64_t q = 0; q < s.Q; ++q) {
      const WindowCells w = cells_of(s, row % s.P, q);
      T* out = y + (row * s.Q + q) * s.C;
      for_each_vector<T>(s.C, [&](int64_t c, int64_t count) {
        Vec<T> v = zero<T>();
        switch (s.kind) {
          case PoolKind::max:
            v = extreme<Max>(s, w, image + c, count);
            break;
          case PoolKind::min:
            v = extreme<Min>(s, w, image + c, count);
            break;
          case PoolKind::avg:
            v = total(s, w, image + c, count) / broadcast(static_cast<T>(w.divisor));
            break;
          case PoolKind::sum:
            v = total(s, w, image + c, count);
            break;
        }
        store_up_to(out + c, v, count);
      });
    }
  });
}

// Adds dy to the cell of each window that won, channel by channel.
template <class Order, class T>
void route(const Pool2dSpec& s, const WindowCells& w, Vec<T> dy, const T* x, T* dx, int64_t count) {
  Vec<T> best = zero<T>();
  IntVec<T> winner{};
  for_each_cell(s, w, [&](int64_t at, int64_t tap) {
    const Vec<T> v = load_up_to(x + at, count);
    const auto better = tap == 0 ? IntVec<T>{} - 1 : (IntVec<T>)Order::template beats<T>(v, best);
    best = better ? v : best;
    winner = better ? IntVec<T>{} + static_cast<IntLane<T>>(tap) : winner;
  });
  for_each_cell(s, w, [&](int64_t at, int64_t tap) {
    const auto here = winner == IntVec<T>{} + static_cast<IntLane<T>>(tap);
    store_up_to(dx + at, load_up_to(dx + at, count) + (here ? dy : zero<T>()), count);
  });
}

template <class T>
void spread(const Pool2dSpec& s, const WindowCells& w, Vec<T> dy, T* dx, int64_t count) {
  for_each_cell(s, w,
                [&](int64_t at, int64_t) { store_up_to(dx + at, load_up_to(dx + at, count) + dy, count); });
}

// One register of channels of one image: every window's share, in ascending order of windows.
template <class T>
void image_backward(const Pool2dSpec& s, const T* dy, const T* x, T* dx, int64_t count) {
  for (int64_t cell = 0; cell < s.H * s.W; ++cell) store_up_to(dx + cell * s.C, zero<T>(), count);
  for (int64_t p = 0; p < s.P; ++p) {
    for (int64_t q = 0; q < s.Q; ++q) {
      const WindowCells w = cells_of(s, p, q);
      const Vec<T> g = load_up_to(dy + (p * s.Q + q) * s.C, count);
      switch (s.kind) {
        case PoolKind::max:
          route<Max>(s, w, g, x, dx, count);
          break;
        case PoolKind::min:
          route<Min>(s, w, g, x, dx, count);
          break;
        case PoolKind::avg:
          spread(s, w, g / broadcast(static_cast<T>(w.divisor)), dx, count);
          break;
        case PoolKind::sum:
          spread(s, w, g, dx, count);
          break;
      }
    }
  }
}

template <class T>
void pool2d_backward(const Pool2dSpec& s, const T* dy, const T* x, T* dx, const Context& context) {
  const int64_t blocks = (s.C + kLanes<T> - 1) / kLanes<T>;
  parallel_for(context.threads, s.N * blocks, [&](int64_t task) {
    const int64_t n = task / blocks, c = task % blocks * kLanes<T>;
    const int64_t count = s.C - c < kLanes<T> ? s.C - c : kLanes<T>;
    const int64_t in = n * s.H * s.W * s.C + c, out = n * s.P * s.Q * s.C + c;
    image_backward(s, dy + out, x + in, dx + in, count);
  });
}

}  // namespace

void add_pool2d(KernelTable& table) {
  FC_ADD(table, pool2d_forward);
  FC_ADD(table, pool2d_backward);
}

}  // namespace fc::cpu::FC_ISA
