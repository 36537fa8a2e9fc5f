// pool2d_backward.cpp — the gradients of pooling, by the winners' numbers instead of x.
//
// Math       dx[n,h,w,c] = Σ over the windows (p,q) with a tap (r,s) on the cell of
//            max, min: index[n,p,q,c] = r·S + s ? dy[n,p,q,c] : 0      sum: dy      avg: dy / divisor(p,q)
// Shapes     dy (N,P,Q,C)  index (N,P,Q,C) of bytes, null for avg and sum  dx (N,H,W,C), C-contiguous
// Blocking   Windows apart from each other: dy is read once and a window's cells are written once, 2x2
//            windows unrolled. Overlapping windows: each cell of dx collects from the windows over it.
// Threads    apart: over rows (n,p), with the rows of dx under them; overlapping: over rows (n,h)
// Numerics   a cell sums its windows in ascending order
// Workspace  overlapping windows: which window reaches which cell, per axis
// Edges      cells that no window covers are 0
#include <string.h>

#include "cpu/kernels/pool2d.h"
#include "cpu/kernels/pool2d_window.h"
#include "cpu/kernels/work.h"
#include "cpu/kernels/workspace.h"
#include "cpu/parallel.h"
#include "cpu/simd/stream.h"

namespace fc::cpu::FC_ISA {
namespace {

constexpr double kCollectNs = 0.5;  // per cell of dx, overlapping windows

// A window's share of one register of channels: at(tap) is what the cell under the tap gets.
template <class T>
struct ToWinner {
  const T* dy;
  const uint8_t* index;

  struct Share {
    Vec<T> g;
    IntVec<T> winner;
    FC_INLINE Vec<T> at(int64_t tap) const { return winner == static_cast<IntLane<T>>(tap) ? g : zero<T>(); }
  };
  FC_INLINE Share load(int64_t i, int64_t count, int64_t) const {
    return {load_up_to(dy + i, count), load_bytes<T>(index + i, count)};
  }
};

template <class T>
struct ToAll {
  const T* dy;
  bool average;

  struct Share {
    Vec<T> g;
    FC_INLINE Vec<T> at(int64_t) const { return g; }
  };
  FC_INLINE Share load(int64_t i, int64_t count, int64_t divisor) const {
    const Vec<T> g = load_up_to(dy + i, count);
    return {average ? g / broadcast(static_cast<T>(divisor)) : g};
  }
};

bool apart(const Pool2dSpec& s) {
  return s.stride_h > (s.R - 1) * s.dilation_h && s.stride_w > (s.S - 1) * s.dilation_w;
}

// --- windows apart --------------------------------------------------------------------------------------

// Writes the cells of one window; R and S not 0 are its known extent.
template <int R, int S, class T, class Kind>
FC_INLINE void write_window(const Kind& kind, const PoolWindow& w, int64_t taps_w, int64_t from, T* dx,
                            int64_t channels, bool past_caches) {
  const int64_t rows = R > 0 ? R : w.rows, columns = S > 0 ? S : w.columns;
  for_each_vector<T>(channels, [&](int64_t c, int64_t count) {
    const auto share = kind.load(from + c, count, w.divisor);
#pragma GCC unroll 2
    for (int64_t r = 0; r < rows; ++r) {
#pragma GCC unroll 2
      for (int64_t s = 0; s < columns; ++s) {
        T* to = dx + w.first + r * w.row_step + s * w.column_step + c;
        const Vec<T> g = share.at(w.first_tap + r * taps_w + s);
        if (past_caches) {
          stream(to, g);
        } else {
          store_up_to(to, g, count);
        }
      }
    }
  });
}

// The rows of dx from p's window down to the next one's, without cells that windows will write.
template <class T>
void clear_gaps(const Pool2dSpec& s, int64_t p, T* dx) {
  const auto row_of = [&](int64_t i) { return min_of(max_of(i * s.stride_h - s.pad_top, 0), s.H); };
  const int64_t begin = p == 0 ? 0 : row_of(p), end = p + 1 == s.P ? s.H : row_of(p + 1);
  const bool tiled = s.dilation_h == 1 && s.stride_h == s.R && s.dilation_w == 1 && s.stride_w == s.S;
  const int64_t covered_rows = tiled ? min_of(end, max_of(p * s.stride_h - s.pad_top + s.R, begin)) : begin;
  const int64_t covered = tiled ? min_of(s.Q * s.stride_w - s.pad_left, s.W) : 0;
  for (int64_t h = begin; h < end; ++h) {
    const int64_t from = h < covered_rows ? covered : 0;
    memset(dx + (h * s.W + from) * s.C, 0, static_cast<size_t>((s.W - from) * s.C) * sizeof(T));
  }
}

template <class T, class Kind>
void write_windows(const Pool2dSpec& s, const Kind& kind, T* dx, const Context& context) {
  const int64_t cells = s.N * s.H * s.W * s.C;
  const Crew threads = threads_for(cells, context.threads);
  const bool whole_registers = s.C % kLanes<T> == 0 && is_aligned(dx);
  const bool past_caches = outgrows_caches<T>(cells) && whole_registers;
  parallel_for(threads, s.N * s.P, [&](int64_t row) {
    T* image = dx + row / s.P * s.H * s.W * s.C;
    const int64_t p = row % s.P, from = row * s.Q * s.C;
    clear_gaps(s, p, image);
    const PoolRow windows(s, p);
    const PoolRow::Run inside = windows.inside();
    const auto one_by_one = [&](int64_t begin, int64_t end) {
      for (int64_t q = begin; q < end; ++q) {
        write_window<0, 0>(kind, windows.window(q), s.S, from + q * s.C, image, s.C, past_caches);
      }
    };
    one_by_one(0, inside.begin);
    if (inside.begin < inside.end) {
      PoolWindow w = windows.window(inside.begin);
      const bool two = w.rows == 2 && w.columns == 2;
      for (int64_t q = inside.begin; q < inside.end; ++q, w.first += s.stride_w * s.C) {
        if (two) {
          write_window<2, 2>(kind, w, s.S, from + q * s.C, image, s.C, past_caches);
        } else {
          write_window<0, 0>(kind, w, s.S, from + q * s.C, image, s.C, past_caches);
        }
      }
    }
    one_by_one(inside.end, s.Q);
  });
}

// --- overlapping windows --------------------------------------------------------------------------------

// Along one axis: the windows over each cell, ascending, and the tap that each has there.
struct Cover {
  struct Reach {
    int64_t window, tap;
  };
  int64_t most;     // windows over a cell
  int64_t* count;   // per cell
  Reach* reaches;   // per cell, `most` of them
  int64_t* inside;  // per window: what it counts in the divisor of an average

  Cover(WorkspaceCutter& cutter, int64_t extent, int64_t windows, int64_t taps, int64_t stride,
        int64_t dilation)
      : most(min_of(taps, ((taps - 1) * dilation + stride) / stride)),
        count(cutter.take<int64_t>(extent)),
        reaches(cutter.take<Reach>(extent * most)),
        inside(cutter.take<int64_t>(windows)) {}

  void fill(int64_t extent, int64_t windows, int64_t taps, int64_t stride, int64_t dilation,
            int64_t pad_before, int64_t pad_after, bool count_pads) {
    for (int64_t i = 0; i < extent; ++i) count[i] = 0;
    for (int64_t p = 0; p < windows; ++p) {
      const int64_t start = p * stride - pad_before;
      inside[p] = 0;
      for (int64_t tap = 0; tap < taps; ++tap) {
        const int64_t cell = start + tap * dilation;
        const bool real = 0 <= cell && cell < extent;
        if (real || (count_pads && cell < extent + pad_after)) ++inside[p];
        if (real) reaches[cell * most + count[cell]++] = {p, tap};
      }
    }
  }
};

struct Covers {
  Cover h, w;
  Covers(const Pool2dSpec& s, WorkspaceCutter& cutter)
      : h(cutter, s.H, s.P, s.R, s.stride_h, s.dilation_h),
        w(cutter, s.W, s.Q, s.S, s.stride_w, s.dilation_w) {}
};

// A window over a cell: where its channels begin in dy, and the cell's tap in it.
struct Over {
  int64_t from, tap, divisor;
};

// Adds what N windows give to a cell; the first ones find nothing there yet.
template <int N, class T, class Kind>
FC_INLINE void add_some(const Kind& kind, const Over* over, bool first, T* dx, int64_t channels) {
  int64_t from[N], tap[N], divisor[N];
#pragma GCC unroll 4
  for (int i = 0; i < N; ++i) from[i] = over[i].from, tap[i] = over[i].tap, divisor[i] = over[i].divisor;
  for_each_vector<T>(channels, [&](int64_t c, int64_t count) {
    Vec<T> sum = first ? zero<T>() : load_up_to(dx + c, count);
#pragma GCC unroll 4
    for (int i = 0; i < N; ++i) sum += kind.load(from[i] + c, count, divisor[i]).at(tap[i]);
    store_up_to(dx + c, sum, count);
  });
}

template <class T, class Kind>
void add_windows(const Kind& kind, const Over* over, int64_t windows, bool first, T* dx, int64_t channels) {
  for (; windows >= 4; over += 4, windows -= 4, first = false) add_some<4>(kind, over, first, dx, channels);
  if (windows >= 2) {
    add_some<2>(kind, over, first, dx, channels);
    over += 2, windows -= 2, first = false;
  }
  if (windows == 1) add_some<1>(kind, over, first, dx, channels);
}

template <class T, class Kind>
void collect(const Pool2dSpec& s, const Kind& kind, T* dx, const Context& context) {
  constexpr int64_t kAtOnce = 64;
  WorkspaceCutter cutter(context.workspace);
  Covers covers(s, cutter);
  Cover &h = covers.h, &w = covers.w;
  const bool pads = s.count_include_pad;
  h.fill(s.H, s.P, s.R, s.stride_h, s.dilation_h, s.pad_top, s.pad_bottom, pads);
  w.fill(s.W, s.Q, s.S, s.stride_w, s.dilation_w, s.pad_left, s.pad_right, pads);
  const Crew threads = threads_for(s.N * s.H * s.W * s.C, context.threads, kCollectNs);
  parallel_for(threads, s.N * s.H, [=](int64_t row) {
    const int64_t n = row / s.H, y = row % s.H;
    for (int64_t x = 0; x < s.W; ++x) {
      T* cell = dx + (row * s.W + x) * s.C;
      Over over[kAtOnce];
      int64_t windows = 0;
      bool first = true;
      for (int64_t i = 0; i < h.count[y]; ++i) {
        const Cover::Reach above = h.reaches[y * h.most + i];
        for (int64_t j = 0; j < w.count[x]; ++j) {
          const Cover::Reach beside = w.reaches[x * w.most + j];
          if (windows == kAtOnce) {
            add_windows(kind, over, windows, first, cell, s.C);
            first = false;
            windows = 0;
          }
          over[windows++] = {((n * s.P + above.window) * s.Q + beside.window) * s.C,
                             above.tap * s.S + beside.tap, h.inside[above.window] * w.inside[beside.window]};
        }
      }
      add_windows(kind, over, windows, first, cell, s.C);
      if (windows == 0) memset(cell, 0, static_cast<size_t>(s.C) * sizeof(T));
    }
  });
}

template <class T>
size_t pool2d_backward_from_index_workspace(const Pool2dSpec& s, int) {
  if (apart(s)) return 0;
  WorkspaceCutter cutter(nullptr);
  Covers(s, cutter);
  return cutter.bytes();
}

template <class T>
void pool2d_backward_from_index(const Pool2dSpec& s, const T* dy, const uint8_t* index, T* dx,
                                const Context& context) {
  const auto run = [&](const auto& kind) {
    if (apart(s)) return write_windows(s, kind, dx, context);
    collect(s, kind, dx, context);
  };
  if (index != nullptr) return run(ToWinner<T>{dy, index});
  run(ToAll<T>{dy, s.kind == PoolKind::avg});
}

}  // namespace

void add_pool2d_backward(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, pool2d_backward_from_index);
}

}  // namespace fc::cpu::FC_ISA
