// pool2d_window.h — which cells of the image a pooling window covers.
#pragma once

#include "core/pool2d_spec.h"
#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {

// Taps along one axis that fall inside [0, extent): the cell of the first of them, and how many.
struct Taps {
  int64_t first, count;
  int64_t skipped;  // taps before the first
};

inline Taps taps_inside(int64_t start, int64_t taps, int64_t dilation, int64_t extent) {
  int64_t skipped = 0;
  if (start < 0) {  // divisions are slow, and most windows need none
    skipped = (-start + dilation - 1) / dilation;
    start += skipped * dilation;
    taps -= skipped;
  }
  if (start + (taps - 1) * dilation >= extent)
    taps = start < extent ? (extent - 1 - start) / dilation + 1 : 0;
  return {start, taps > 0 ? taps : 0, skipped};
}

// The cells of one window, as offsets into the image.
struct PoolWindow {
  int64_t first;
  int64_t rows, row_step;
  int64_t columns, column_step;
  int64_t divisor;    // of an average
  int64_t first_tap;  // r·S + s of the first cell
};

// The windows of output row p.
class PoolRow {
 public:
  PoolRow(const Pool2dSpec& s, int64_t p) : s_(s) {
    const int64_t start = p * s.stride_h - s.pad_top;
    rows_ = taps_inside(start, s.R, s.dilation_h, s.H);
    // Average over the padded image, where ceil_mode's last window may still reach beyond it.
    padded_rows_ = taps_inside(start + s.pad_top, s.R, s.dilation_h, s.H + s.pad_top + s.pad_bottom).count;
  }

  PoolWindow window(int64_t q) const {
    const int64_t start = q * s_.stride_w - s_.pad_left;
    const Taps columns = taps_inside(start, s_.S, s_.dilation_w, s_.W);
    const int64_t padded =
        taps_inside(start + s_.pad_left, s_.S, s_.dilation_w, s_.W + s_.pad_left + s_.pad_right).count;
    const int64_t divisor = s_.count_include_pad ? padded_rows_ * padded : rows_.count * columns.count;
    return {(rows_.first * s_.W + columns.first) * s_.C,
            rows_.count,
            s_.dilation_h * s_.W * s_.C,
            columns.count,
            s_.dilation_w * s_.C,
            divisor,
            rows_.skipped * s_.S + columns.skipped};
  }

  // The windows whose columns all lie inside the image: alike but for their place.
  struct Run {
    int64_t begin, end;
  };
  Run inside() const {
    const int64_t last = s_.W - 1 - (s_.S - 1) * s_.dilation_w + s_.pad_left;  // where the last one may start
    const int64_t begin = (s_.pad_left + s_.stride_w - 1) / s_.stride_w;
    const int64_t end = last < 0 ? 0 : last / s_.stride_w + 1;
    if (begin >= s_.Q || begin >= end) return {s_.Q, s_.Q};
    return {begin, end < s_.Q ? end : s_.Q};
  }

 private:
  const Pool2dSpec& s_;
  Taps rows_;
  int64_t padded_rows_;
};

// f(offset of the cell in the image, number of the tap) for the cells of a window, in row-major order.
template <class F>
FC_INLINE void for_each_cell(const PoolWindow& w, const F& f) {
  int64_t tap = 0;
  for (int64_t r = 0; r < w.rows; ++r) {
    const int64_t row = w.first + r * w.row_step;
    for (int64_t t = 0; t < w.columns; ++t) f(row + t * w.column_step, tap++);
  }
}

}  // namespace fc::cpu::FC_ISA
