// warp_spec.h — images turned, zoomed and sheared at random, each by draws of its own.
#pragma once

#include <array>

#include "core/fill_mode.h"
#include "core/spec.h"

namespace fc {

// first + draw * count / 2^32, rounded down, in units of 2^-24. Integers, so that every back end finds the
// same bits.
struct Draws {
  int64_t first = 0, count = 1;
};

// The numbers that say where a cell of the result comes from: plain data, which a kernel can be launched
// with.
struct WarpRule {
  int64_t N, H, W, C;
  Draws angle;  // turns, counter-clockwise
  Draws zoom_rows, zoom_columns, shear_x, shear_y;
  bool one_zoom;    // of the rows, for both axes
  bool either_way;  // shears are positive or negative, drawn too
  bool centred, bilinear;
  FillMode fill_mode;
  double fill_value;
};

// y[n,p,q] = x[n] at (row, column) = M (p, q), between cells a mean of four neighbours (bilinear), or the
// nearest. M is core/warp_geometry.inc's, around the image's centre or its first cell. Draws: words of the
// counters 2n and 2n + 1. Tensors: x and y (N,H,W,C), seed (1).
struct WarpSpec final : Spec, WarpRule {
  static constexpr int64_t kMostCells = 16384;  // of an axis

  using Range = std::array<double, 2>;
  static WarpSpec make(DType dtype, const Shape& x, const Range& angle, const Range& zoom_rows,
                       const Range& zoom_columns, bool one_zoom, const Range& shear_x, const Range& shear_y,
                       bool either_way, bool centred, bool bilinear, FillMode fill_mode, double fill_value);
  std::string text() const override;
  double flops(std::string_view kernel) const override;

 private:
  bool find_shape(std::string_view name, Shape& out) const override;
};

// y = clip((x - mean) * f + mean + d), f and d drawn for each image: words 0 and 1 of the counter n. Tensors:
// x and y (N,H,W,C), mean (N,C), seed (1).
struct AdjustSpec final : Spec {
  int64_t N, H, W, C;
  std::array<double, 2> factor, shift, limits;

  static AdjustSpec make(DType dtype, const Shape& x, const std::array<double, 2>& factor,
                         const std::array<double, 2>& shift, const std::array<double, 2>& limits);
  std::string text() const override;
  double flops(std::string_view kernel) const override;

 private:
  bool find_shape(std::string_view name, Shape& out) const override;
};

}  // namespace fc
