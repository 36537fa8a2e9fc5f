// resample_spec.cpp — the rules of resizing, and the taps of both axes.
#include "core/resample_spec.h"

#include <algorithm>

namespace fc {
namespace {

using Line = std::vector<std::pair<int64_t, double>>;  // (cell, weight), ascending

// Weights of one cell are added; zeros at the ends are dropped, so that what they would meet does not matter.
Line line_of(const ResampleAxis& axis, int64_t i) {
  Line line;
  const auto raw = [&](int64_t at, int64_t cell) { return axis.raw_weight(at, cell); };
  axis.each_weight(i, raw, [&](int64_t cell, double weight) {
    if (!line.empty() && line.back().first == cell) {
      line.back().second += weight;
    } else {
      line.emplace_back(cell, weight);
    }
  });
  while (line.size() > 1 && line.back().second == 0) line.pop_back();
  while (line.size() > 1 && line.front().second == 0) line.erase(line.begin());
  return line;
}

Taps taps_of(const std::vector<Line>& lines) {
  Taps taps;
  for (const Line& line : lines) {
    const int64_t first = line.empty() ? 0 : line.front().first;
    const int64_t count = line.empty() ? 0 : line.back().first - first + 1;
    taps.first.push_back(first);
    taps.count.push_back(count);
    taps.start.push_back(static_cast<int64_t>(taps.weights.size()));
    taps.weights.resize(taps.weights.size() + static_cast<size_t>(count));
    for (const auto& [cell, weight] : line) {
      taps.weights[static_cast<size_t>(taps.start.back() + cell - first)] = weight;
    }
    taps.most = std::max(taps.most, count);
  }
  return taps;
}

Taps taps_of(const ResampleAxis& axis, bool transposed) {
  std::vector<Line> lines;
  for (int64_t i = 0; i < axis.out; ++i) lines.push_back(line_of(axis, i));
  if (!transposed) return taps_of(lines);
  std::vector<Line> back(static_cast<size_t>(axis.in));
  for (int64_t i = 0; i < axis.out; ++i) {
    for (const auto& [cell, weight] : lines[static_cast<size_t>(i)]) {
      if (weight != 0) back[static_cast<size_t>(cell)].emplace_back(i, weight);
    }
  }
  return taps_of(back);
}

const char* const kNames[] = {"nearest", "bilinear", "bicubic", "area", "lanczos3", "lanczos5"};

}  // namespace

ResampleSpec ResampleSpec::make(DType dtype, const std::string& op, const Shape& x, const Pair& size,
                                Interpolation interpolation, bool antialias, Coordinates coordinates,
                                Rounding rounding, double a, bool exclude_outside,
                                const std::array<double, 2>& scales, bool transposed) {
  check_images(op, x);
  check_pair(op, "size", size, 1);
  const Shape y = {x[0], size[0], size[1], x[3]};
  checked_count(op, "y", y);
  for (const int64_t extent : {x[1], x[2], size[0], size[1]}) {
    FC_CHECK(extent <= kMostCells, "[", op, "] images must be at most ", kMostCells,
             " cells high and wide: expected extents <= ", kMostCells, ", got x.shape=", to_text(x),
             ", size=(", size[0], ", ", size[1], "). Cut them into parts.");
  }
  FC_CHECK(checked_product(op, "a row of x", x[2], x[3]) <= INT32_MAX &&
               checked_product(op, "a row of y", size[1], x[3]) <= INT32_MAX,
           "[", op,
           "] a row must have fewer than 2^31 numbers: expected width * C < 2^31, got x.shape=", to_text(x),
           ", size=(", size[0], ", ", size[1], "). Use fewer channels.");
  FC_CHECK(interpolation != Interpolation::area || coordinates == Coordinates::half_pixel, "[", op,
           "] area knows cells as intervals: expected coordinates=half_pixel, got others. Use half_pixel.");
  ResampleSpec s;
  s.dtype = dtype;
  s.N = x[0], s.H = x[1], s.W = x[2], s.C = x[3], s.P = size[0], s.Q = size[1];
  s.transposed = transposed;
  for (size_t i = 0; i < 2; ++i) {
    FC_CHECK(scales[i] >= 0 && scales[i] <= static_cast<double>(kMostCells), "[", op,
             "] scales must be positive: expected 0 < scale <= ", kMostCells, ", got ", scales[i],
             ". Give result / source.");
    ResampleAxis& axis = s.axes[i];
    axis = {x[1 + i],      size[i],         static_cast<double>(size[i]),
            interpolation, coordinates,     rounding,
            antialias,     exclude_outside, a};
    if (scales[i] > 0) axis.length = scales[i] * static_cast<double>(axis.in);
    s.taps[i] = taps_of(axis, transposed);
  }
  return s;
}

bool ResampleSpec::find_shape(std::string_view name, Shape& out) const {
  if (name == "x" || name == "y") {
    out = (name == "x") == transposed ? Shape{N, P, Q, C} : Shape{N, H, W, C};
  } else {
    return false;
  }
  return true;
}

std::string ResampleSpec::text() const {
  return text_of("N", N, "H", H, "W", W, "C", C, "_P", P, "Q", Q, "_",
                 kNames[static_cast<int>(axes[0].interpolation)], axes[0].antialias ? "_antialias" : "");
}

double ResampleSpec::flops(std::string_view) const {
  if (axes[0].interpolation == Interpolation::nearest) return 0;
  const auto rows = static_cast<double>(taps[0].weights.size() * static_cast<size_t>(transposed ? Q : W));
  const auto columns = static_cast<double>(taps[1].weights.size() * static_cast<size_t>(transposed ? H : P));
  return 2 * static_cast<double>(N * C) * (rows + columns);
}

}  // namespace fc
