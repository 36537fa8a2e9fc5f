// image_rows.h — the indirection of a convolution: per position and tap, a pointer to the channels it reads.
//
// Nothing is copied: a pointer leads straight into the image, or to zeros where the tap lies outside of it.
// With few channels the taps of one filter row are merged, since their cells are neighbours in memory: one
// pointer then stands for taps x channels elements. Only windows that cross an edge are gathered in a strip.
#pragma once

#include "cpu/kernels/axis.h"
#include "cpu/simd/stream.h"

namespace fc::cpu::FC_ISA {

inline constexpr int64_t kMergeChannels = 16;  // below this, merging the taps of a row pays

template <class T>
struct ImageRows {
  const T* image;
  int64_t images;
  Axis h, w;
  int64_t pixel;     // elements from one cell to the next
  int64_t channels;  // elements that one tap reads
  bool merged;

  // dense_positions: the tensor indexed by position has no gaps, so that lines and images may be run
  // together.
  ImageRows(const T* image, int64_t images, const Axis& h, const Axis& w, int64_t pixel, int64_t channels,
            bool dense_positions)
      : image(image),
        images(images),
        h(h),
        w(w),
        pixel(pixel),
        channels(channels),
        merged(w.taps > 1 && w.tap_step == 1 && pixel == channels && channels < kMergeChannels) {
    const auto trivial = [](const Axis& a) {
      return a.taps == 1 && a.step == 1 && a.first == 0 && a.cells == a.positions;
    };
    if (dense_positions && trivial(h) && trivial(w)) {  // 1x1 or a plain matrix: one long line
      this->w.cells = this->w.positions = images * h.positions * w.positions;
      this->h.cells = this->h.positions = this->images = 1;
    }
  }

  // Whether some tap of some position lies outside.
  bool has_edges() const { return h.has_edges() || w.has_edges(); }
  // The same rows, one pointer per tap.
  ImageRows one_by_one() const {
    ImageRows all = *this;
    all.merged = false;
    return all;
  }

  int64_t positions() const { return images * h.positions * w.positions; }
  int64_t taps() const { return merged ? h.taps : h.taps * w.taps; }
  int64_t depth() const { return merged ? w.taps * channels : channels; }
  int64_t strip_size(int64_t block) const { return merged ? block * h.taps * depth() : 0; }

  // rows[tap * block + i] for the positions first + i, i < count. `zeros` has depth() elements, `strip`
  // strip_size(block).
  void point(int64_t first, int64_t count, int64_t block, int64_t channel, const T* zeros, T* strip,
             const T** rows) const {
    for_each_segment(first, count, [&](int64_t n, int64_t p, Range q, int64_t at) {
      for (int64_t r = 0; r < h.taps; ++r) {
        const int64_t cell = h.cell(p, r);
        const T* line = h.contains(cell) ? image + (n * h.cells + cell) * w.cells * pixel + channel : nullptr;
        if (merged) {
          strip = point_merged(line, q, zeros, strip, rows + r * block + at);
        } else {
          for (int64_t s = 0; s < w.taps; ++s)
            point_tap(line, s, q, zeros, rows + (r * w.taps + s) * block + at);
        }
      }
    });
  }

  // Whether more than L2 holds is read.
  bool far() const { return outgrows_l2<T>(images * h.cells * w.cells * pixel); }

  // Asks for those of `elements` of each tap that these positions read and none before them does.
  FC_INLINE void fetch(const T* const* rows, int64_t block, Range positions, Range elements) const {
    const Range newest_h = h.newest(), newest_w = merged ? Range{0, 1} : w.newest();
    const int64_t first = max_of(elements.begin, merged ? w.newest().begin * channels : 0);
    for (int64_t r = newest_h.begin; r < newest_h.end; ++r) {
      for (int64_t s = newest_w.begin; s < newest_w.end; ++s) {
        const T* const* const row = rows + (r * (merged ? 1 : w.taps) + s) * block;
        for (int64_t i = positions.begin; i < positions.end; ++i)
          prefetch_run(row[i] + first, elements.end - first);
      }
    }
  }

  // f(n, p, {q_begin, q_end}, offset): positions first … first + count cut at the ends of image rows.
  template <class F>
  void for_each_segment(int64_t first, int64_t count, const F& f) const {
    int64_t q = first % w.positions, line = first / w.positions;
    for (int64_t at = 0; at < count; ++line, q = 0) {
      const int64_t length = min_of(w.positions - q, count - at);
      f(line / h.positions, line % h.positions, Range{q, q + length}, at);
      at += length;
    }
  }

 private:
  void point_tap(const T* line, int64_t tap, Range q, const T* zeros, const T** rows) const {
    const Range in = line ? w.inside(tap) : Range{q.end, q.end};
    const int64_t begin = min_of(max_of(in.begin, q.begin), q.end),
                  end = max_of(min_of(in.end, q.end), begin);
    const T** row = rows;
    for (int64_t i = q.begin; i < begin; ++i) *row++ = zeros;
    const T* from = line + (begin < end ? w.cell(begin, tap) * pixel : 0);
    for (int64_t i = begin; i < end; ++i, from += w.step * pixel) *row++ = from;
    for (int64_t i = end; i < q.end; ++i) *row++ = zeros;
  }

  T* point_merged(const T* line, Range q, const T* zeros, T* strip, const T** rows) const {
    const Range whole = w.inside_all();
    for (int64_t i = q.begin; i < q.end; ++i) {
      const int64_t cell = w.cell(i, 0);
      if (line == nullptr) {
        *rows++ = zeros;
      } else if (whole.begin <= i && i < whole.end) {
        *rows++ = line + cell * pixel;
      } else {
        for (int64_t s = 0; s < w.taps; ++s) {
          const T* from = w.contains(cell + s) ? line + (cell + s) * pixel : zeros;
          for (int64_t c = 0; c < channels; ++c) strip[s * channels + c] = from[c];
        }
        *rows++ = strip;
        strip += depth();
      }
    }
    return strip;
  }
};

}  // namespace fc::cpu::FC_ISA
