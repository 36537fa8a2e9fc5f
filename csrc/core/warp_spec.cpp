// warp_spec.cpp — the rules of random turning, zooming and shearing, and of random contrast and brightness.
#include "core/warp_spec.h"

#include <cmath>

#include "core/window.h"

namespace fc {
namespace {

constexpr double kUnits = 1 << 24;

Draws draws_between(const char* name, const WarpSpec::Range& range, double least, double most) {
  const auto [low, high] = range;
  FC_CHECK(least <= low && low <= high && high <= most, "[warp2d] ", name, " must be a range: expected ",
           least, " <= first <= last <= ", most, ", got ", name, "=(", low, ", ", high,
           "). Use smaller numbers.");
  const auto first = static_cast<int64_t>(std::floor(low * kUnits + 0.5));
  return {first, static_cast<int64_t>(std::floor(high * kUnits + 0.5)) - first + 1};
}

std::string image_text(int64_t N, int64_t H, int64_t W, int64_t C) {
  return text_of("N", N, "H", H, "W", W, "C", C);
}

}  // namespace

WarpSpec WarpSpec::make(DType dtype, const Shape& x, const Range& angle, const Range& zoom_rows,
                        const Range& zoom_columns, bool one_zoom, const Range& shear_x, const Range& shear_y,
                        bool either_way, bool centred, bool bilinear, FillMode fill_mode, double fill_value) {
  check_images("warp2d", x);
  WarpSpec s;
  s.dtype = dtype;
  s.N = x[0], s.H = x[1], s.W = x[2], s.C = x[3];
  FC_CHECK(s.H <= kMostCells && s.W <= kMostCells, "[warp2d] images must be at most ", kMostCells,
           " cells high and wide: expected H, W <= ", kMostCells, ", got x.shape=", to_text(x),
           ". Scale them down.");
  FC_CHECK(s.C <= INT32_MAX / (s.H * s.W),
           "[warp2d] an image must have fewer than 2^31 numbers: expected C * H * W < 2^31, got x.shape=",
           to_text(x), ". Use fewer channels.");
  s.angle = draws_between("angle", angle, -1, 1);
  s.zoom_rows = draws_between("zoom_rows", zoom_rows, 0, 2);
  s.zoom_columns = draws_between("zoom_columns", zoom_columns, 0, 2);
  s.shear_x = draws_between("shear_x", shear_x, -1, 1);
  s.shear_y = draws_between("shear_y", shear_y, -1, 1);
  s.one_zoom = one_zoom, s.either_way = either_way, s.centred = centred, s.bilinear = bilinear;
  s.fill_mode = fill_mode;
  s.fill_value = fill_value;
  return s;
}

bool WarpSpec::find_shape(std::string_view name, Shape& out) const {
  if (name == "x" || name == "y") {
    out = {N, H, W, C};
  } else if (name == "seed") {
    out = {1};
  } else {
    return false;
  }
  return true;
}

std::string WarpSpec::text() const {
  return image_text(N, H, W, C) + (bilinear ? "_bilinear" : "_nearest");
}

double WarpSpec::flops(std::string_view) const {
  return static_cast<double>(N * H * W * C) * (bilinear ? 9 : 0);
}

AdjustSpec AdjustSpec::make(DType dtype, const Shape& x, const std::array<double, 2>& factor,
                            const std::array<double, 2>& shift, const std::array<double, 2>& limits) {
  check_images("adjust2d", x);
  for (const auto& [name, range] : {std::pair{"factor", factor}, {"shift", shift}, {"limits", limits}}) {
    FC_CHECK(range[0] <= range[1], "[adjust2d] ", name, " must be a range: expected first <= last, got ",
             name, "=(", range[0], ", ", range[1], "). Exchange the two.");
  }
  AdjustSpec s;
  s.dtype = dtype;
  s.N = x[0], s.H = x[1], s.W = x[2], s.C = x[3];
  s.factor = factor, s.shift = shift, s.limits = limits;
  return s;
}

bool AdjustSpec::find_shape(std::string_view name, Shape& out) const {
  if (name == "x" || name == "y") {
    out = {N, H, W, C};
  } else if (name == "mean") {
    out = {N, C};
  } else if (name == "seed") {
    out = {1};
  } else {
    return false;
  }
  return true;
}

std::string AdjustSpec::text() const {
  return image_text(N, H, W, C);
}

double AdjustSpec::flops(std::string_view) const {
  return static_cast<double>(N * H * W * C) * 4;
}

}  // namespace fc
