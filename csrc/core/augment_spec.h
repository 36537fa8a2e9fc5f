// augment_spec.h — images mirrored and moved at random, each by draws of its own.
#pragma once

#include <array>

#include "core/fill_mode.h"
#include "core/spec.h"

namespace fc {

enum class FlipKind : uint8_t { none, horizontal, vertical, horizontal_and_vertical };

// Where an axis of the result begins in the source: (first + draw * count / 2^32, rounded down) * step, in
// units of 1/65536 of a cell. Integers, so that every back end finds the same bits.
struct Offsets {
  int64_t first = 0, count = 1;
  int64_t step = 1;
};

// y[n,p,q] = m[n, p + rows, q + columns], m = x[n] mirrored or not; a place between cells is a mean of its
// two or four neighbours (bilinear), or the nearest. Draws: word 0 of the counter n for mirroring, words 1
// and 2 for rows and columns, each set by a seed of its own; `alternate`: the lowest bit of the flip's seed
// alone. Tensors: x (N,H,W,C), y (N,P,Q,C), flip_seed (1), shift_seed (1).
struct AugmentSpec final : Spec {
  int64_t N, H, W, C, P, Q;
  FlipKind flip;
  bool alternate, bilinear;
  Offsets rows, columns;
  FillMode fill_mode;
  double fill_value;

  static constexpr int64_t kUnit = 65536;       // of an offset: one cell
  static constexpr int64_t kMostCells = 16384;  // of an axis, and of an offset

  static AugmentSpec make(DType dtype, const Shape& x, const std::array<int64_t, 2>& size, FlipKind flip,
                          bool alternate, const std::array<double, 2>& rows,
                          const std::array<double, 2>& columns, bool whole, bool bilinear, FillMode fill_mode,
                          double fill_value);
  std::string text() const override;
  double flops(std::string_view kernel) const override;

 private:
  bool find_shape(std::string_view name, Shape& out) const override;
};

}  // namespace fc
