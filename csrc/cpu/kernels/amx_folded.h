// amx_folded.h — an image of few channels laid out so that one run of numbers is all that a position reads.
//
// A line of the folded grid belongs to a line of results: its cells hold the channels of all the lines that
// the filter's rows read there, [column][row of the filter][channel]. A window is then one run, S·R·C numbers
// that fill tiles of 32 depths well, and a horizontal stride is a longer way from window to window. Numbers
// are split into parts once per line of the image, and folded by permutations (amx_picks.h).
//
// Lines are numbered through all images, so a band may hold the end of one and the beginning of the next.
#pragma once

#include "cpu/kernels/amx_grid.h"
#include "cpu/kernels/amx_picks.h"

namespace fc::cpu::FC_ISA {

// Whether what tiles save, against those of an AmxGrid, is more than what folding takes, in cycles per
// position.
inline bool pays_to_fold(const Axis& h, const Axis& w, int64_t channels, int64_t columns) {
  const int64_t cell = h.taps * channels;
  if (cell > kMostFolded) return false;
  const bool neighbours = w.tap_step == 1 || w.tap_step == -1 || w.taps == 1;
  const auto blocks = [](int64_t depth) { return ceil_div(depth, kTileDepth); };
  const int64_t folded = neighbours ? blocks(w.taps * cell) : w.taps * blocks(cell);
  const bool merged = w.step <= w.taps && neighbours && w.taps > 1;
  const int64_t apart = merged ? h.taps * blocks(w.taps * channels) : h.taps * w.taps * blocks(channels);
  return folded * 3 * ceil_div(columns, kTileLines) + cell * 3 / 4 <
         apart * 3 * ceil_div(columns, kTileLines);
}

class FoldedGrid {
 public:
  int64_t parts, channels, bands, plane;

  // The image has no gaps between cells: pixel == channels.
  FoldedGrid(const ImageRows<float>& r, int64_t number_parts)
      : parts(number_parts),
        channels(r.channels),
        h_(r.h),
        w_(r.w),
        image_lines_(r.h.positions),
        columns_(r.w.positions),
        lines_(r.images * r.h.positions),
        cell_(r.h.taps * r.channels),
        cells_(round_up((columns_ - 1) * w_.step + (w_.taps - 1) * w_.distance() + 1, w_.step)) {
    const int64_t line_bytes = cells_ * cell_ * parts * static_cast<int64_t>(sizeof(Bfloat16));
    const int64_t most =
        max_of(min_of(band_positions(lines_ * pitch()) / pitch(), kAmxBandBytes / line_bytes), 1);
    bands = ceil_div(lines_, max_of(min_of(most, lines_ / kAmxBands), 1));
    band_lines_ = ceil_div(lines_, bands);
    bands = ceil_div(lines_, band_lines_);
    const int64_t beyond = 2 * kTileLines * w_.step;  // cells that tiles may read behind the last position's
    folded_size_ = round_up((band_lines_ * cells_ + beyond) * cell_ + kAmxSlack, kTileDepth);
    plane = folded_size_ + round_up(strip_lines(band_lines_) * row_size() + channels + kAmxSlack, kTileDepth);
  }

  Band band(int64_t i) const {
    return {0, 1, i * band_lines_, min_of(band_lines_, lines_ - i * band_lines_)};
  }
  int64_t numbers(const Band& b) const { return (b.lines - 1) * pitch() + columns_; }
  int64_t step() const { return w_.step * cell_; }

  bool one_run() const { return w_.distance() == 1 || w_.taps == 1; }
  int64_t runs() const { return one_run() ? 1 : w_.taps; }
  int64_t runs_of_row() const { return runs(); }
  int64_t run_depth() const { return one_run() ? w_.taps * cell_ : cell_; }
  int64_t run_blocks() const { return ceil_div(run_depth(), kTileDepth); }
  int64_t jump(int64_t run) const { return run * w_.distance() * cell_; }
  // As AmxGrid::for_each_tap.
  template <class F>
  void for_each_tap(const F& f) const {
    for (int64_t s = 0; s < w_.taps; ++s) {
      for (int64_t r = 0; r < h_.taps; ++r)
        f(h_.tap_step < 0 ? h_.taps - 1 - r : r, w_.tap_step < 0 ? w_.taps - 1 - s : s);
    }
  }

  // As AmxGrid::for_each_run.
  template <class F>
  FC_INLINE void for_each_run(const Band& b, int64_t first, const F& f) const {
    int64_t q = first % pitch(), line = b.line + first / pitch();
    const int64_t end = b.line + b.lines;
    for (int64_t i = 0; i < 2 * kTileLines && line < end; ++line, q = 0) {
      const int64_t n = min_of(columns_ - q, 2 * kTileLines - i);
      if (n > 0) f(i, n, line / image_lines_, line % image_lines_, q);
      i += pitch() - q;
    }
  }

  // Picks of one period of a folded line, which repeats when vectors begin at the beginning of a cell again.
  int64_t most_picks() const { return period() * h_.taps; }
  void prepare(Pick* picks) {
    picks_ = picks;
    int64_t column = 0, row = 0, channel = 0;  // of the next number of a folded line
    for (int64_t v = 0; v < period(); ++v) {
      int64_t source[kTileDepth];
      for (int64_t& place : source) {
        place = column * channels + row * h_.distance() * row_size() + channel;
        if (++channel == channels) channel = 0, ++row;
        if (row == h_.taps) row = 0, ++column;
      }
      picks = make_picks(source, picks);
    }
  }

  void split(const Band& b, const float* image, Bfloat16* to, Splitter& splitter) const {
    Bfloat16* const strip = to + folded_size_;
    for (int64_t line = b.line, end; line < b.line + b.lines; line = end) {
      const int64_t n = line / image_lines_, p = line % image_lines_;
      end = min_of((n + 1) * image_lines_, b.line + b.lines);
      for (int64_t i = 0; i < strip_lines(end - line); ++i) {
        const int64_t from = p * h_.step + h_.low + i;
        const bool inside = 0 <= from && from < h_.cells;
        split_row(inside ? image + (n * h_.cells + from) * w_.cells * channels : nullptr,
                  strip + i * row_size(), splitter);
      }
      for (int64_t i = 0; i < end - line; ++i, to += cells_ * cell_) {
        const Bfloat16* from = strip + i * h_.step * row_size();
        parts == 2 ? fold<2>(from, to) : fold<3>(from, to);
      }
    }
    clear(to, kTileDepth);  // depths behind the last window: zeros of the filter must not meet a NaN
  }

 private:
  int64_t pitch() const { return cells_ / w_.step; }
  int64_t row_size() const { return cells_ * channels; }
  // Lines of an image that `lines` lines of results read, and those between.
  int64_t strip_lines(int64_t lines) const {
    return (lines - 1) * h_.step + (h_.taps - 1) * h_.distance() + 1;
  }
  int64_t period() const { return cell_ / min_of(cell_ & -cell_, kTileDepth); }

  // Stores may go beyond the row: rows are written in ascending order.
  void split_row(const float* line, Bfloat16* to, Splitter& splitter) const {
    const int64_t begin = line ? min_of(max_of(-w_.low, 0), cells_) : cells_;
    const int64_t end = max_of(min_of(w_.cells - w_.low, cells_), begin);
    clear(to, begin * channels);
    const int64_t size = (end - begin) * channels;
    for (int64_t i = 0; i < size; i += kTileDepth) {
      splitter.run(line + (begin + w_.low) * channels + i, size - i, to + begin * channels + i, plane);
    }
    clear(to + end * channels, (cells_ - end) * channels);
  }

  template <int kParts>
  void fold(const Bfloat16* from, Bfloat16* to) const {
    const Bfloat16* const end = to + cells_ * cell_;
    for (; to < end; from += period() * kTileDepth / cell_ * channels) {
      const Pick* pick = picks_;
      for (int64_t i = 0; i < period() && to < end; ++i, to += kTileDepth) {
        gather_picks<kParts>(from, plane, to, plane, pick);
      }
    }
  }

  void clear(Bfloat16* to, int64_t n) const {
    for (int64_t part = 0; part < parts; ++part)
      std::memset(to + part * plane, 0, static_cast<size_t>(n) * sizeof(Bfloat16));
  }

  GridAxis h_, w_;
  int64_t image_lines_, columns_, lines_;
  int64_t cell_, cells_;  // numbers of a cell, cells of a line
  int64_t band_lines_ = 0, folded_size_ = 0;
  const Pick* picks_ = nullptr;
};

}  // namespace fc::cpu::FC_ISA
