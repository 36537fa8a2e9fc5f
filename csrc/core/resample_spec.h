// resample_spec.h — images in another size: each row and column of the result is a weighted sum of a few.
#pragma once

#include <array>

#include "core/resample_axis.h"
#include "core/spec.h"
#include "core/window.h"

namespace fc {

// What cell i of an axis is made of: `count[i]` neighbours from `first[i]`, their weights at `start[i]`.
struct Taps {
  std::vector<int64_t> first, count, start;
  std::vector<double> weights;
  int64_t most = 0;  // of the counts
};

// y[n,p,q,c] = Σ_r rows(p, r) Σ_s columns(q, s) x[n,r,s,c]. Tensors: x, y. The transposed spec takes dy for x
// and dx for y: its taps are those that lead back.
struct ResampleSpec final : Spec {
  int64_t N, H, W, C, P, Q;  // of x and y, whichever they are
  std::array<ResampleAxis, 2> axes;
  bool transposed;
  std::array<Taps, 2> taps;

  static constexpr int64_t kMostCells = int64_t{1} << 20;  // of an axis

  // `scales`: result / source, of axes whose size was rounded; 0 where it is size / extent.
  static ResampleSpec make(DType dtype, const std::string& op, const Shape& x, const Pair& size,
                           Interpolation interpolation, bool antialias, Coordinates coordinates,
                           Rounding rounding, double a, bool exclude_outside,
                           const std::array<double, 2>& scales, bool transposed);
  std::string text() const override;
  double flops(std::string_view kernel) const override;

 private:
  bool find_shape(std::string_view name, Shape& out) const override;
};

}  // namespace fc
