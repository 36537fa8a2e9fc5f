// amx_grid.h — an image laid out so that any 16 neighbouring positions read a tile with a constant stride.
//
// A band of lines (or some whole images) is copied to a grid of cells, borders included, as planes of
// bfloat16 parts. With a stride, the cells are sorted by their remainder, one grid each, so that neighbours
// in a grid are what neighbouring positions read under one tap; where a run of neighbouring taps is read at
// once, the cells of a line keep their order. Positions are numbered through the lines of the grid: at the
// end of each line a few numbers belong to no position. Lines, and whole images, share their zero borders
// wherever the border behind one can be the border before the next.
#pragma once

#include "cpu/kernels/amx_split.h"
#include "cpu/kernels/igemm_problem.h"

namespace fc::cpu::FC_ISA {

inline constexpr int64_t kAmxBandPositions = 2048;   // at most: few lines are read by two bands
inline constexpr int64_t kAmxLeastPositions = 512;   // at least: a pair of filter tiles is used often
inline constexpr int64_t kAmxBandBytes = 768 << 10;  // but a band's planes stay in L2, beside the filter's
inline constexpr int64_t kAmxWholeBytes = 1 << 20;   // all images, if they fit: no split filter leaves L2
inline constexpr int64_t kAmxBands = 24;             // wanted, so that any number of threads balances

// Positions of a band, of so many in all.
inline int64_t band_positions(int64_t positions) {
  return min_of(max_of(positions / kAmxBands, kAmxLeastPositions), kAmxBandPositions);
}

inline constexpr int64_t kAmxSlack = 2 * kTileDepth;  // elements that a tile may read behind the last cell

// One axis of the grid.
struct GridAxis {
  int64_t cells, step, taps, tap_step;
  int64_t low;     // cell that grid index 0 of remainder 0 stands for
  int64_t reach;   // cells behind a position that its taps read
  int64_t pitch;   // grid cells from one line (or image) to the next
  int64_t extent;  // grid cells that the positions read

  explicit GridAxis(const Axis& a)
      : cells(a.cells),
        step(a.step),
        taps(a.taps),
        tap_step(a.tap_step),
        low(min_of(a.cell(0, 0), a.cell(0, a.taps - 1))),
        reach((max_of(a.cell(0, 0), a.cell(0, a.taps - 1)) - low) / a.step),
        extent(a.positions + reach) {
    int64_t end = a.positions, border = reach;
    for (int64_t i = 0; i < min_of(step, (taps - 1) * distance() + 1); ++i) {
      const Range in = inside(i, 0, extent);
      end = max_of(end, in.end), border = min_of(border, in.begin);
    }
    pitch = max_of(end, extent - border);
  }

  int64_t distance() const { return tap_step < 0 ? -tap_step : tap_step; }
  int64_t offset(int64_t tap) const { return (tap_step < 0 ? taps - 1 - tap : tap) * distance(); }
  int64_t remainder(int64_t tap) const { return offset(tap) % step; }
  int64_t index(int64_t tap) const { return offset(tap) / step; }
  int64_t remainders() const { return min_of(step, (taps - 1) * distance() + 1); }
  int64_t cell(int64_t index, int64_t remainder) const { return index * step + remainder + low; }
  // Of the grid cells [begin, end): those that stand for a cell of the image.
  Range inside(int64_t remainder, int64_t begin, int64_t end) const {
    const int64_t at0 = remainder + low;
    const int64_t first = at0 >= 0 ? 0 : ceil_div(-at0, step),
                  last = at0 >= cells ? 0 : ceil_div(cells - at0, step);
    const int64_t from = min_of(max_of(first, begin), end);
    return {from, max_of(min_of(last, end), from)};
  }
};

// `images` whole images, or `lines` lines of one.
struct Band {
  int64_t image, images, line, lines;
};

struct AmxGrid {
  int64_t parts;
  GridAxis h, w;
  int64_t images, lines, columns;  // of the whole problem
  int64_t pixel, channels;         // elements from one cell of the image to the next; that a tap reads
  bool merged;                     // the taps of a filter row are read as one run
  int64_t cell;                    // elements from one cell of the grid to the next: of `step` cells, merged
  int64_t band_lines, band_images, bands_per_image, bands;
  int64_t plane;  // elements of one part of a band

  AmxGrid(const ImageRows<float>& r, int64_t number_parts)
      : parts(number_parts),
        h(r.h),
        w(r.w),
        images(r.images),
        lines(r.h.positions),
        columns(r.w.positions),
        pixel(r.pixel),
        channels(r.channels),
        merged(w.distance() == 1 && w.taps > 1 && w.taps >= w.step && channels % kTileDepth != 0) {
    cell = merged ? w.step * channels : round_up(channels, kTileDepth);
    if (!merged && cell % (8 * kTileDepth) == 0)
      cell += kTileDepth;  // rows a multiple of 512 bytes apart share few sets of L1
    const int64_t image = h.pitch * w.pitch, position_bytes = cell * parts * 2 * grids();
    const bool whole = images * image * position_bytes <= kAmxWholeBytes;
    const int64_t most =
        min_of(band_positions(images * image), (whole ? kAmxWholeBytes : kAmxBandBytes) / position_bytes);
    band_lines = lines, band_images = max_of(min_of(most / image, images), 1);
    bands_per_image = 1;
    if (2 * image > most) {
      band_images = 1;
      bands_per_image = min_of(ceil_div(lines * w.pitch, max_of(most, 1)), lines);
      band_lines = ceil_div(lines, bands_per_image);
      bands_per_image = ceil_div(lines, band_lines);
    }
    band_images = ceil_div(images, max_of(ceil_div(images, band_images), 1));
    bands = ceil_div(images, max_of(band_images, 1)) * bands_per_image;
    plane = remainder_size() * grids();
  }

  Band band(int64_t i) const {
    const int64_t image = i / bands_per_image * band_images, line = i % bands_per_image * band_lines;
    return {image, min_of(band_images, images - image), line, min_of(band_lines, lines - line)};
  }
  int64_t step() const { return cell; }  // elements from one number to the next

  // f(i, n, image, line, column) for the runs of positions, neighbours in a line, among 32 numbers from
  // `first` on: i is where a run begins, n how long it is.
  template <class F>
  FC_INLINE void for_each_run(const Band& b, int64_t first, const F& f) const {
    int64_t q = first % w.pitch, line = first / w.pitch, image = 0;
    if (b.images > 1) image = line / h.pitch, line %= h.pitch;
    for (int64_t i = 0; i < 2 * kTileLines && image < b.images; q = 0) {
      const int64_t n = min_of(columns - q, 2 * kTileLines - i);
      if (n > 0 && line < b.lines) f(i, n, b.image + image, b.line + line, q);
      i += w.pitch - q;
      if (++line == h.pitch && b.images > 1) line = 0, ++image;
    }
  }

  // One more than the largest number of a position.
  int64_t numbers(const Band& b) const {
    return ((b.images - 1) * h.pitch + b.lines - 1) * w.pitch + columns;
  }
  int64_t grid_lines(int64_t images_, int64_t lines_) const {
    return (images_ - 1) * h.pitch + lines_ + h.reach;
  }
  int64_t grids_of_line() const { return merged ? 1 : w.remainders(); }
  int64_t grids() const { return h.remainders() * grids_of_line(); }
  // Elements of one remainder's grid, and what tiles beyond the last position may read.
  int64_t remainder_size() const {
    return round_up(
        (grid_lines(band_images, band_lines) * w.pitch + w.extent - w.pitch + 2 * kTileLines) * cell +
            kAmxSlack,
        kTileDepth);
  }

  int64_t runs_of_row() const { return merged ? 1 : w.taps; }
  int64_t runs() const { return h.taps * runs_of_row(); }
  int64_t run_depth() const { return merged ? w.taps * channels : channels; }
  int64_t run_blocks() const { return ceil_div(run_depth(), kTileDepth); }
  // f(r, s) for the taps in the order in which runs hold them.
  template <class F>
  void for_each_tap(const F& f) const {
    for (int64_t r = 0; r < h.taps; ++r) {
      for (int64_t s = 0; s < w.taps; ++s) f(r, merged && w.tap_step < 0 ? w.taps - 1 - s : s);
    }
  }
  // Where the elements that position 0 reads in a run begin.
  int64_t jump(int64_t run) const {
    const int64_t r = merged ? run : run / w.taps;
    const int64_t s = !merged ? run % w.taps : w.tap_step < 0 ? w.taps - 1 : 0;
    return (h.remainder(r) * grids_of_line() + w.remainder(s)) * remainder_size() +
           (h.index(r) * w.pitch + w.index(s)) * cell;
  }
};

}  // namespace fc::cpu::FC_ISA
