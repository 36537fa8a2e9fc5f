// warp.cpp — images turned, zoomed and sheared at random.
//
// Math       y[n,p,q] = x[n] at M_n (p, q): the nearest cell, or (1-f) ((1-g) x[r,c] + g x[r,c+1])
//            + f ((1-g) x[r+1,c] + g x[r+1,c+1]), f and g the rests of the place. Beyond the image by the
//            fill mode
// Shapes     x, y (N,H,W,C)  seed u64 (1) or null: the first of each range
// Threads    over rows of y; what happens to image n depends on (seed, n) alone
// Numerics   places are integers, each product and sum is rounded by itself: the bits of csrc/cuda
// Edges      an empty batch writes nothing
// Source     core/warp_geometry.inc; the generator: philox.h
#include "core/warp_spec.h"
#include "cpu/kernels/philox.h"
#include "cpu/kernels/table.h"
#include "cpu/kernels/work.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {
namespace {

#include "core/fill_mode.inc"
#include "core/warp_geometry.inc"

constexpr double kNs = 3;  // per element

template <class T>
class Image {
 public:
  Image(const WarpSpec& s, const T* x) : s_(s), x_(x) {}

  void copy(Place place, T* y) const {
    const int64_t row = row_at(nearest_cell(place.row)), column = column_at(nearest_cell(place.column));
    for (int64_t c = 0; c < s_.C; ++c) y[c] = at(row, column, c);
  }

  void blend(Place place, T* y) const {
    const int64_t row = in_parts(place.row), column = in_parts(place.column);
    const T f = static_cast<T>(row & 65535) / 65536, g = static_cast<T>(column & 65535) / 65536;
    const int64_t top = row_at(row >> 16), bottom = row_at((row >> 16) + 1);
    const int64_t left = column_at(column >> 16), right = column_at((column >> 16) + 1);
    for (int64_t c = 0; c < s_.C; ++c) {
      const T above = mean(at(top, left, c), at(top, right, c), g);
      const T below = mean(at(bottom, left, c), at(bottom, right, c), g);
      y[c] = mean(above, below, f);
    }
  }

 private:
  static T mean(T a, T b, T share) { return (T(1) - share) * a + share * b; }
  int64_t row_at(int64_t i) const { return cell_seen_at(i, s_.H, s_.fill_mode); }
  int64_t column_at(int64_t i) const { return cell_seen_at(i, s_.W, s_.fill_mode); }
  T at(int64_t row, int64_t column, int64_t c) const {
    if (row < 0 || column < 0) return static_cast<T>(s_.fill_value);
    return x_[(row * s_.W + column) * s_.C + c];
  }

  const WarpSpec& s_;
  const T* x_;
};

template <class T>
void warp(const WarpSpec& s, const T* x, const uint64_t* seed, T* y, const Context& context) {
  const Crew threads = threads_for(s.N * s.H * s.W * s.C, context.threads, kNs);
  const int64_t block = rows_per_block(s.W * s.C), blocks = ceil_div(s.H, block);
  parallel_for(threads, s.N * blocks, [&](int64_t i) {
    const int64_t n = i / blocks, first = i % blocks * block;
    uint32_t words[Philox::kChunk] = {};
    if (seed != nullptr) Philox(*seed).words(2 * static_cast<uint64_t>(n), words);
    const WarpMatrix matrix(s, words);
    const Image<T> image(s, x + n * s.H * s.W * s.C);
    for (int64_t p = first; p < min_of(s.H, first + block); ++p) {
      T* row = y + (n * s.H + p) * s.W * s.C;
      for (int64_t q = 0; q < s.W; ++q) {
        const Place place = matrix.source(p, q);
        s.bilinear ? image.blend(place, row + q * s.C) : image.copy(place, row + q * s.C);
      }
    }
  });
}

}  // namespace

void add_warp(KernelTable& table) {
  FC_ADD(table, warp);
}

}  // namespace fc::cpu::FC_ISA
