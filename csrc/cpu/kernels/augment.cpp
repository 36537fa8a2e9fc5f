// augment.cpp — images mirrored and moved at random, in one pass.
//
// Math       y[n,p,q] = m[n, p + row, q + column], m = x[n] mirrored or not. With whole offsets a copy;
//            between cells (1-f) ((1-g) m[r,c] + g m[r,c+1]) + f ((1-g) m[r+1,c] + g m[r+1,c+1]), f and g the
//            rests of the offsets. Beyond the image by the fill mode (core/augment_spec.h)
// Shapes     x (N,H,W,C)  flip_seed, shift_seed u64 (1) or null  y (N,P,Q,C)
// Blocking   a row of y at a time: its sources are one or two rows of x
// Threads    over images; what happens to image n depends on (seed, n) alone
// Numerics   offsets are integers, each product and sum is rounded by itself: the bits of csrc/cuda
// Edges      an empty batch writes nothing; an offset of many images is brought back by its remainder
// Source     Keras 3, RandomFlip and RandomTranslation; the generator: philox.h
#include "core/augment_spec.h"
#include "cpu/kernels/philox.h"
#include "cpu/kernels/table.h"
#include "cpu/kernels/work.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {
namespace {

#include "core/fill_mode.inc"

constexpr double kNs = 1;  // per element

// Where output cell i of an axis comes from: source(i) of the image, or -1 beyond it; the next cell's share.
struct Axis {
  int64_t extent, offset;
  double share;
  bool mirrored;
  FillMode mode;

  int64_t source(int64_t i) const {
    const int64_t cell = cell_seen_at(i + offset, extent, mode);
    return mirrored && cell >= 0 ? extent - 1 - cell : cell;
  }
};

Axis axis_of(const AugmentSpec& s, const Offsets& offsets, uint32_t word, int64_t extent, bool mirrored) {
  const auto drawn = static_cast<int64_t>(static_cast<uint64_t>(offsets.count) * word >> 32);
  const int64_t offset = (offsets.first + drawn) * offsets.step;
  if (!s.bilinear) return {extent, (offset + AugmentSpec::kUnit / 2) >> 16, 0, mirrored, s.fill_mode};
  return {extent, offset >> 16, static_cast<double>(offset & (AugmentSpec::kUnit - 1)) / AugmentSpec::kUnit,
          mirrored, s.fill_mode};
}

template <class T>
class Image {
 public:
  Image(const AugmentSpec& s, const T* x, const Axis& rows, const Axis& columns)
      : s_(s), x_(x), rows_(rows), columns_(columns) {}

  void copy_row(int64_t p, T* y) const {
    const int64_t row = rows_.source(p);
    for (int64_t q = 0; q < s_.Q; ++q) {
      const int64_t column = columns_.source(q);
      for (int64_t c = 0; c < s_.C; ++c) y[q * s_.C + c] = at(row, column, c);
    }
  }

  void blend_row(int64_t p, T* y) const {
    const T f = static_cast<T>(rows_.share), g = static_cast<T>(columns_.share);
    const int64_t top = rows_.source(p), bottom = rows_.source(p + 1);
    for (int64_t q = 0; q < s_.Q; ++q) {
      const int64_t left = columns_.source(q), right = columns_.source(q + 1);
      for (int64_t c = 0; c < s_.C; ++c) {
        const T above = mean(at(top, left, c), at(top, right, c), g);
        const T below = mean(at(bottom, left, c), at(bottom, right, c), g);
        y[q * s_.C + c] = mean(above, below, f);
      }
    }
  }

 private:
  static T mean(T a, T b, T share) { return (T(1) - share) * a + share * b; }
  T at(int64_t row, int64_t column, int64_t c) const {
    if (row < 0 || column < 0) return static_cast<T>(s_.fill_value);
    return x_[(row * s_.W + column) * s_.C + c];
  }

  const AugmentSpec& s_;
  const T* x_;
  const Axis &rows_, &columns_;
};

template <class T>
void augment(const AugmentSpec& s, const T* x, const uint64_t* flip_seed, const uint64_t* shift_seed, T* y,
             const Context& context) {
  const Crew threads = threads_for(s.N * s.P * s.Q * s.C, context.threads, kNs);
  parallel_for(threads, s.N, [&](int64_t n) {
    uint32_t words[Philox::kChunk] = {}, flips[Philox::kChunk] = {};
    if (shift_seed != nullptr) Philox(*shift_seed).words(static_cast<uint64_t>(n), words);
    if (flip_seed != nullptr) Philox(*flip_seed).words(static_cast<uint64_t>(n), flips);
    const bool mirrored =
        flip_seed != nullptr && (s.alternate ? (*flip_seed & 1) != 0 : flips[0] < 0x80000000u);
    const bool both = s.flip == FlipKind::horizontal_and_vertical;
    const Axis rows = axis_of(s, s.rows, words[1], s.H, mirrored && (both || s.flip == FlipKind::vertical));
    const Axis columns =
        axis_of(s, s.columns, words[2], s.W, mirrored && (both || s.flip == FlipKind::horizontal));
    const Image<T> image(s, x + n * s.H * s.W * s.C, rows, columns);
    for (int64_t p = 0; p < s.P; ++p) {
      T* row = y + (n * s.P + p) * s.Q * s.C;
      s.bilinear ? image.blend_row(p, row) : image.copy_row(p, row);
    }
  });
}

}  // namespace

void add_augment(KernelTable& table) {
  FC_ADD(table, augment);
}

}  // namespace fc::cpu::FC_ISA
