// resample_axis.h — which cells of an axis a cell of the result is made of, and with what weights.
//
// Math    cell i of the result lies at c = centre(i) among the cells of the source, whose centres are whole
//         numbers; its value is Σ_j k((j - c) / s) x_j / Σ_j k((j - c) / s), s = stretch(). Cells beyond the
//         source count as its outermost, or not at all (exclude_outside)
// Kernels linear: the tent. cubic: Keys 1981. lanczos: sinc(x) sinc(x / r). area: the overlap of the two
// cells
//         as intervals. nearest: one cell, by rounding c
// Source  ONNX, Resize; TensorFlow, ScaleAndTranslate; both back ends take their weights from here
#pragma once

#include <cstdint>

namespace fc {

enum class Interpolation : uint8_t { nearest, bilinear, bicubic, area, lanczos3, lanczos5 };
enum class Coordinates : uint8_t {
  half_pixel,
  asymmetric,
  align_corners,
  pytorch_half_pixel,
  half_pixel_symmetric
};
enum class Rounding : uint8_t { round_prefer_ceil, round_prefer_floor, floor, ceil };

constexpr int64_t whole_below(double x) {
  const auto cut = static_cast<int64_t>(x);
  return static_cast<double>(cut) > x ? cut - 1 : cut;
}
constexpr int64_t whole_above(double x) {
  return -whole_below(-x);
}

// sin(pi x) / (pi x).
constexpr double sinc(double x) {
  if (x < 0) x = -x;
  if (x < 1e-9) return 1;
  constexpr double kPi = 3.14159265358979323846;
  const int64_t turns = whole_below(x + 0.5);
  const double r = (x - static_cast<double>(turns)) * kPi;  // |r| <= pi / 2
  double term = r, sine = r;
  for (int n = 2; n <= 20; n += 2) {  // the next term is below 1e-16
    term *= -r * r / (n * (n + 1));
    sine += term;
  }
  return (turns % 2 == 0 ? sine : -sine) / (kPi * x);
}

struct ResampleAxis {
  int64_t in = 1, out = 1;
  double length = 1;  // scale * in: `out`, where no scale is given
  Interpolation interpolation = Interpolation::nearest;
  Coordinates coordinates = Coordinates::half_pixel;
  Rounding rounding = Rounding::round_prefer_ceil;
  bool antialias = false, exclude_outside = true;
  double a = -0.5;  // of cubic

  struct Range {
    int64_t first, last;
  };

  constexpr double centre(int64_t i) const {
    const auto cells = static_cast<double>(in), at = static_cast<double>(i);
    switch (coordinates) {
      case Coordinates::asymmetric:
        return at * cells / length;
      case Coordinates::align_corners:
        return length == 1 ? 0 : at * (cells - 1) / (length - 1);
      case Coordinates::pytorch_half_pixel:
        return length > 1 ? (at + 0.5) * cells / length - 0.5 : 0;
      case Coordinates::half_pixel_symmetric:
        return cells / 2 * (1 - static_cast<double>(out) / length) + ((at + 0.5) * cells / length - 0.5);
      default:
        return (at + 0.5) * cells / length - 0.5;
    }
  }

  constexpr int64_t nearest(int64_t i) const {
    const double c = centre(i);
    switch (rounding) {
      case Rounding::floor:
        return whole_below(c);
      case Rounding::ceil:
        return whole_above(c);
      case Rounding::round_prefer_floor:
        return whole_above(c - 0.5);
      default:
        return whole_below(c + 0.5);
    }
  }

  constexpr double radius() const {
    return interpolation == Interpolation::bilinear   ? 1
           : interpolation == Interpolation::bicubic  ? 2
           : interpolation == Interpolation::lanczos3 ? 3
                                                      : 5;
  }

  constexpr double stretch() const {
    const double step = static_cast<double>(in) / length;
    return antialias && step > 1 ? step : 1;
  }

  // The cells with weights, beyond the source too. Both ends grow with i.
  constexpr Range reach(int64_t i) const {
    if (interpolation == Interpolation::nearest) return {nearest(i), nearest(i)};
    if (interpolation == Interpolation::area) {
      const auto cells = static_cast<double>(in), at = static_cast<double>(i);
      return {whole_below(at * cells / length), whole_above((at + 1) * cells / length) - 1};
    }
    const double c = centre(i), far = radius() * stretch();
    return {whole_below(c - far) + 1, whole_above(c + far) - 1};
  }

  // Of cell j of reach(i); the sum over j is not 1 yet.
  constexpr double raw_weight(int64_t i, int64_t j) const {
    if (interpolation == Interpolation::nearest) return 1;
    if (interpolation == Interpolation::area) {
      const auto cells = static_cast<double>(in), at = static_cast<double>(i), cell = static_cast<double>(j);
      const double begin = at * cells / length, end = (at + 1) * cells / length;
      return (end < cell + 1 ? end : cell + 1) - (begin > cell ? begin : cell);
    }
    const double x = (static_cast<double>(j) - centre(i)) / stretch(), d = x < 0 ? -x : x;
    switch (interpolation) {
      case Interpolation::bilinear:
        return d < 1 ? 1 - d : 0;
      case Interpolation::bicubic:
        return d <= 1  ? ((a + 2) * d - (a + 3)) * d * d + 1
               : d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
                       : 0;
      default:
        return d < radius() ? sinc(d) * sinc(d / radius()) : 0;
    }
  }

  constexpr int64_t inside(int64_t j) const { return j < 0 ? 0 : j < in ? j : in - 1; }

  // Whether cells beyond the source are left out. Where there are no others, the outermost counts.
  constexpr bool excludes(const Range& r) const {
    return exclude_outside && interpolation != Interpolation::nearest && r.last >= 0 && r.first < in;
  }

  // Calls f(cell of the source, weight) for cell i of the result, in ascending order; a cell may come twice.
  // `raw`: raw_weight, however it is called.
  template <class Raw, class F>
  constexpr void each_weight(int64_t i, const Raw& raw, const F& f) const {
    Range r = reach(i);
    if (excludes(r)) r = {inside(r.first), inside(r.last)};
    double total = 0;
    for (int64_t j = r.first; j <= r.last; ++j) total += raw(i, j);
    for (int64_t j = r.first; j <= r.last; ++j) f(inside(j), raw(i, j) / total);
  }
};

}  // namespace fc
