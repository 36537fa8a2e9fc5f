// amx_grid_lines.h — the lines of a band on their way to the grid of amx_grid.h, split into parts.
//
// A line is split some numbers at a time, in ascending order, so that it can be done between products of
// tiles, shortly before the first product that reads it. The processor looks too little ahead to find the
// splitting behind the products by itself: convolutions are 1.02 to 1.25 times as fast.
#pragma once

#include <limits>

#include "cpu/kernels/amx_grid.h"

namespace fc::cpu::FC_ISA {

// The cells of one remainder, (rh, rw), of `image` (N, cells, cells, pixel).
class GridLines {
 public:
  GridLines(const AmxGrid& g, const Band& b, const float* image, int64_t rh, int64_t rw, Bfloat16* to)
      : g_(g), band_(b), image_(image), rh_(rh), rw_(rw), lines_(g.grid_lines(b.images, b.lines)), to_(to) {
    clear(to + all() * g.cell, (g.w.extent - g.w.pitch) * g.cell + kAmxSlack);  // that tiles may read
    begin_line();
  }

  // Numbers of the grid, and those whose cells are there.
  int64_t all() const { return lines_ * g_.w.pitch; }
  int64_t done() const {
    return line_ * g_.w.pitch + (line_ < lines_ ? (run_to_ - to_ + min_of(at_, run_)) / g_.cell : 0);
  }

  // `groups` times 32 numbers of the image, or the rest. A store may write zeros behind a run.
  void split(int64_t groups, Splitter& splitter) {
    Splitter own = splitter;  // in registers
    while (groups > 0 && line_ < lines_) {
      for (; groups > 0 && at_ < run_; --groups, at_ += kTileDepth)
        own.run(run_from_ + at_, run_ - at_, run_to_ + at_, g_.plane);
      if (at_ >= run_) next_run();
    }
    splitter = own;
  }

 private:
  void begin_line() {
    for (; line_ < lines_; ++line_, to_ += g_.w.pitch * g_.cell) {
      const int64_t n = min_of(line_ / g_.h.pitch, band_.images - 1);
      const int64_t from = g_.h.cell(band_.line + line_ - n * g_.h.pitch, rh_);
      if (0 <= from && from < g_.h.cells) {
        return begin_cells(image_ + ((band_.image + n) * g_.h.cells + from) * g_.w.cells * g_.pixel);
      }
      clear(to_, g_.w.pitch * g_.cell);
    }
  }

  // Where the cells of a line keep their order they may be one run, if there is nothing between them.
  void begin_cells(const float* line) {
    const GridAxis& w = g_.w;
    if (g_.merged || (w.step == 1 && g_.channels == g_.cell)) {
      const int64_t cells = w.pitch * w.step, begin = min_of(max_of(-w.low, 0), cells);
      begin_runs(line, w.low + begin, g_.pixel, {begin, max_of(min_of(w.cells - w.low, cells), begin)},
                 g_.channels);
      if (g_.pixel == g_.channels) run_ *= runs_, runs_ = 1;
    } else {
      const Range in = w.inside(rw_, 0, w.pitch);
      begin_runs(line, w.cell(in.begin, rw_), w.step * g_.pixel, in, g_.cell);
    }
  }

  // Cells `in` of the line, `pitch` elements from one to the next.
  void begin_runs(const float* line, int64_t cell, int64_t distance, Range in, int64_t pitch) {
    clear(to_, in.begin * pitch);
    clear(to_ + in.end * pitch, g_.w.pitch * g_.cell - in.end * pitch);
    runs_ = in.size(), run_ = runs_ > 0 ? g_.channels : 0, at_ = 0;
    run_from_ = line + cell * g_.pixel, run_to_ = to_ + in.begin * pitch;
    from_step_ = distance, to_step_ = pitch;
  }

  void next_run() {
    at_ = 0;
    if (--runs_ > 0) {
      run_from_ += from_step_, run_to_ += to_step_;
    } else {
      ++line_, to_ += g_.w.pitch * g_.cell;
      begin_line();
    }
  }

  void clear(Bfloat16* to, int64_t n) const {
    for (int64_t part = 0; part < g_.parts; ++part)
      std::memset(to + part * g_.plane, 0, static_cast<size_t>(n) * sizeof(Bfloat16));
  }

  const AmxGrid& g_;
  const Band band_;
  const float* image_;
  int64_t rh_, rw_, lines_, line_ = 0;
  Bfloat16* to_;  // the line
  const float* run_from_ = nullptr;
  Bfloat16* run_to_ = nullptr;
  int64_t run_ = 0, at_ = 0, runs_ = 0, from_step_ = 0, to_step_ = 0;  // the run, done of it; those left
};

// A band on its way to its grid, all at once.
template <class Grid>
class BandFilling {
 public:
  BandFilling(const Grid& g, const Band& b, const float* image, Bfloat16* to, Splitter& splitter) {
    g.split(b, image, to, splitter);
  }

  void finish() {}
  void begin_block(int64_t, int64_t) {}
  void step() {}
};

// As products need it, unless there are several remainders.
template <>
class BandFilling<AmxGrid> {
 public:
  BandFilling(const AmxGrid& g, const Band& b, const float* image, Bfloat16* to, Splitter& splitter)
      : g_(g), splitter_(splitter), lines_(g, b, image, 0, 0, to) {
    for (int64_t i = 1; i < g.grids(); ++i) {
      GridLines(g, b, image, i / g.grids_of_line(), i % g.grids_of_line(), to + i * g.remainder_size())
          .split(kAll, splitter);
    }
    if (g.grids() > 1) finish();
  }

  void finish() { lines_.split(kAll, splitter_); }
  // Products of the 32 numbers from `first` on come next, and have so many steps: what they read is split now,
  // what those of the next 32 read in these steps.
  void begin_block(int64_t first, int64_t steps) {
    while (const int64_t groups = groups_before(first + kPairLines)) lines_.split(groups, splitter_);
    groups_of_step_ = ceil_div(groups_before(first + 2 * kPairLines), steps);
  }
  FC_INLINE void step() {
    if (groups_of_step_ > 0) split_some();
  }

 private:
  static constexpr int64_t kPairLines = 2 * kTileLines, kAll = std::numeric_limits<int64_t>::max();

  // At least, still to be split of what positions before `number` read: runs may end in a shorter group.
  int64_t groups_before(int64_t number) const {
    const int64_t read = number + g_.h.reach * g_.w.pitch + g_.w.reach + ceil_div(kAmxSlack, g_.cell);
    return ceil_div(max_of(min_of(read, lines_.all()) - lines_.done(), 0) * g_.cell, kTileDepth);
  }
  __attribute__((noinline)) void split_some() { lines_.split(groups_of_step_, splitter_); }

  const AmxGrid& g_;
  Splitter& splitter_;
  GridLines lines_;
  int64_t groups_of_step_ = 0;
};

}  // namespace fc::cpu::FC_ISA
