// conv2d_algorithm.h — which algorithm computes a convolution: the one place that decides.
//
// A choice depends on the spec and the ISA alone, never on the number of threads. Costs are in cycles of one
// core, from rates measured on an AVX-512 CPU (bench/test_conv.py repeats the comparison); what is less exact
// than direct sums has to win by a fifth.
#pragma once

#include <type_traits>

#include "core/conv2d_spec.h"
#include "cpu/kernels/blocking.h"

namespace fc::cpu::FC_ISA {

enum class Conv2dPass { forward, backward_input, backward_weight };

// C/groups == 1: a vector of channels needs no sum over channels, so these have loops of their own.
inline bool is_depthwise(const Conv2dSpec& s) {
  return s.groups > 1 && s.groups == s.C;
}

// What the costs are made of, per ISA.
struct Conv2dRates {
  static constexpr double lanes = FC_VECTOR_BYTES / 4;
  static constexpr double fma = FC_VECTOR_BYTES == 16 ? 0.5 : 2;  // vectors per cycle
  static constexpr double direct = 0.8, winograd = 0.75;  // share of these that a matrix product reaches
  static constexpr double dot = 0.5, lane_sums = 25;      // the same along channels; cycles per pixel
  static constexpr double column_sums = 1.5;              // cycles per pixel and tap, of col2im
  static constexpr double tile_in =
      FC_VECTOR_BYTES == 64 ? 110 : 160;  // cycles per tile and vector of channels
  static constexpr double tile_out = FC_VECTOR_BYTES == 64 ? 90 : 140;
  static constexpr double filter = 130;                             // per vector of filters and channel
  static constexpr double weight_tile = 220, weight_inverse = 150;  // as tile_in, filter
  static constexpr double stream = 5;                               // bytes per cycle from L3
  static constexpr double amx_fast = 110, amx_strict = 60;  // products of float32 per cycle, of three and
                                                            // six of bfloat16
  static constexpr double split = 1;          // cycles per number on its way to a tile or from one
  static constexpr double split_cells = 0.6;  // the same in a weight gradient, and where nothing is split
};

inline constexpr int64_t kFewTerms = 64;  // of a filter: taps times channels

inline double vectors(int64_t channels) {
  return static_cast<double>(ceil_div(channels, static_cast<int64_t>(Conv2dRates::lanes)));
}

// `pixels` results of `to` channels from `from` channels.
inline double direct_cycles(const Conv2dSpec& s, int64_t pixels, int64_t from, int64_t to) {
  using R = Conv2dRates;
  return static_cast<double>(pixels * s.R * s.S * from) * vectors(to) / (R::fma * R::direct);
}

// The same where lanes run along `from` (igemm_dot.h): every result ends in a sum along them.
inline double dot_cycles(const Conv2dSpec& s, int64_t pixels, int64_t from, int64_t to, int64_t results) {
  using R = Conv2dRates;
  return static_cast<double>(pixels * s.R * s.S * to) * vectors(from) / (R::fma * R::dot) +
         static_cast<double>(results) * R::lane_sums;
}

// Few channels, and few terms, so that the whole filter stays in L1 beside the strip of a line: up to three channels take
// half the time and less, even those of a single filter, which leaves all lanes but one empty. In strict precision also
// where that is not quite so: six products of parts on matrix tiles that are half empty are slower (lenet2 of
// bench/test_conv.py: 0.85 of the time).
inline bool suits_lines(const Conv2dSpec& s, Conv2dPass pass) {
  constexpr int64_t kMostTerms = 160;
  constexpr int64_t kStrip = 1 << 14;  // numbers of the lines that one of results reads: about L1
  const int64_t terms = s.R * s.S * s.C;
  if (pass == Conv2dPass::backward_input || s.groups != 1 || s.Q == 0 || terms > kMostTerms) return false;
  if (s.C <= 3 || (s.C == 4 && terms <= kFewTerms && vectors(s.K) >= 2)) return true;
  return s.numerics.precision == Precision::strict && pass == Conv2dPass::forward && s.C <= 8 &&
         s.R * (s.W + s.pad_left + s.pad_right) * s.C <= kStrip;
}

// Where a line of columns stays in L2.
inline bool can_use_col2im(const Conv2dSpec& s) {
  constexpr int64_t kLongest = 1 << 16;  // numbers of a line
  return s.groups == 1 && s.S * s.C * s.Q <= kLongest;
}

inline double col2im_cycles(const Conv2dSpec& s) {
  using R = Conv2dRates;
  const double columns = static_cast<double>(s.N * s.P * s.Q * s.R) * vectors(s.S * s.C);
  const double taps = ceil_div(s.S, s.stride_w);
  return columns * (static_cast<double>(s.K) / (R::fma * R::direct) + 1) +
         static_cast<double>(s.N * s.H * s.W) * vectors(s.C) * (8 + taps * R::column_sums);
}

inline bool can_use_winograd(const Conv2dSpec& s) {
  return s.R == s.S && (s.R == 3 || s.R == 5) && s.stride_h == 1 && s.stride_w == 1 && s.dilation_h == 1 &&
         s.dilation_w == 1 && s.groups == 1;
}

// Whether U, the filters in the Winograd domain, is so large beside the tiles that every task that reads it had better
// make its part anew (winograd_few.h) than all of them share one in memory (winograd.h). No bit depends on it.
inline bool has_few_tiles(int64_t tiles, int64_t from, int64_t to) {
  constexpr int64_t kMost = 128;  // V and M of all tiles stay in L3
  constexpr int64_t kFiltersPerTile = FC_VECTOR_BYTES == 64 ? 512 : 128;
  return tiles <= min_of(kMost, from * to / kFiltersPerTile);
}

inline double winograd_cycles(const Conv2dSpec& s, int64_t height, int64_t width, int64_t from, int64_t to) {
  using R = Conv2dRates;
  const int64_t step = 7 - s.R, tiles = s.N * ceil_div(height, step) * ceil_div(width, step);
  const double products = 36 * static_cast<double>(from) * vectors(to);
  const double tile =
      products / (R::fma * R::winograd) + vectors(from) * R::tile_in + vectors(to) * R::tile_out;
  const double filters = static_cast<double>(from) * vectors(to) * R::filter;
  // U beyond L2 is written, and streams through a core for every block of tiles.
  const double u_bytes = products * 4 * R::lanes, passes = 2 + static_cast<double>(ceil_div(tiles, 32));
  const bool streams = u_bytes > 1 << 20 && !has_few_tiles(tiles, from, to);
  return static_cast<double>(tiles) * tile + filters + (streams ? passes * u_bytes / R::stream : 0);
}

// Every part of dw, kWinogradEdge channels x as many filters, transforms x and dy anew.
inline double winograd_weight_cycles(const Conv2dSpec& s) {
  using R = Conv2dRates;
  const int64_t step = 7 - s.R, tiles = s.N * ceil_div(s.P, step) * ceil_div(s.Q, step);
  const double filters = static_cast<double>(s.C) * vectors(s.K);
  const double transforms = vectors(s.C) * static_cast<double>(ceil_div(s.K, kWinogradEdge)) +
                            vectors(s.K) * static_cast<double>(ceil_div(s.C, kWinogradEdge));
  const double chunks = static_cast<double>(ceil_div(tiles, kMinChunkTiles));
  return static_cast<double>(tiles) * (36 * filters / (R::fma * R::winograd) + transforms * R::weight_tile) +
         filters * R::weight_inverse * chunks;
}

// Weight gradients of few channels by amx_lines_weight.h: dw stays in L2.
inline bool suits_amx_lines(const Conv2dSpec& s) {
  return s.groups == 1 && s.C <= 4 && s.R * s.S > 1 && s.R * s.S * s.C <= 256 && s.K <= 256 &&
         (s.R == 1 || s.dilation_h == 1) && s.Q > 0;
}

// Depth that tiles take for a filter: every tap by itself, the taps of a row as one run, or, of few channels,
// the whole filter as one (amx_folded.h).
inline int64_t amx_depth(const Conv2dSpec& s, int64_t from) {
  int64_t depth = s.R * s.S * round_up(from, 32);
  if (s.stride_w <= s.S && s.dilation_w == 1) depth = min_of(depth, s.R * round_up(s.S * from, 32));
  if (s.groups == 1 && from <= 4 && s.R * from <= kMostFolded) depth = round_up(s.R * s.S * from, 32);
  return depth;
}

// Tiles hold 32 depths and 16 columns, and lines end in a few positions that are thrown away. The filter's
// part is left out, so that a sample's algorithm does not depend on its batch.
inline double amx_cycles(const Conv2dSpec& s, int64_t from, int64_t to) {
  using R = Conv2dRates;
  const int64_t positions = s.groups * s.N * s.P * (s.Q + s.S / 2);
  return static_cast<double>(positions * amx_depth(s, from) * round_up(to, 16)) /
             (s.numerics.precision == Precision::strict ? R::amx_strict : R::amx_fast) +
         static_cast<double>(s.groups * s.N * s.P * s.Q * (from + to)) * R::split;
}

// Tiles hold 16 channels, of all taps of a filter row where there are few, 16 filters and 32 positions.
inline double amx_weight_cycles(const Conv2dSpec& s) {
  using R = Conv2dRates;
  const int64_t channels = s.group_channels(), filters = s.group_filters();
  const bool merged = s.groups == 1 && channels < 16 && s.dilation_w == 1;
  const int64_t rows = merged ? s.R * round_up(s.S * channels, 16) : s.R * s.S * round_up(channels, 16);
  const int64_t columns = merged ? s.Q : s.Q + s.S / 2, cells = s.C * (merged ? s.S * s.Q : s.W);
  const int64_t positions = round_up(s.N * (s.P + s.R / 2) * columns, 32);
  return static_cast<double>(s.groups * positions * rows * round_up(filters, 16)) /
             (s.numerics.precision == Precision::strict ? R::amx_strict : R::amx_fast) +
         static_cast<double>(s.N * (s.H * cells + s.P * s.Q * s.K)) * R::split_cells;
}

// Every thread copies whole lines for the tiles, but of 1x1: of longer ones its scratch memory would be as
// large as the image.
inline bool has_lines_for_amx(const Conv2dSpec& s) {
  constexpr int64_t kLongest = 1 << 24;  // numbers of a line
  return s.R * s.S * s.stride_h * s.stride_w == 1 || max_of(s.W * s.C, s.Q * s.K) <= kLongest;
}

template <class T>
inline Conv2dAlgorithm conv2d_algorithm(const Conv2dSpec& s, Conv2dPass pass) {
  using A = Conv2dAlgorithm;
  if (is_depthwise(s)) return A::depthwise;
  const A preferred = s.numerics.preferred;
  const bool amx = kHasAmx && std::is_same_v<T, float> && has_lines_for_amx(s);
  const bool strict = s.numerics.precision == Precision::strict;  // then all algorithms are equally exact
  if (suits_lines(s, pass)) {
    if (preferred == A::lines) return A::lines;
    // The terms have to fill tiles of 32 well: those of a 3x3 filter of one channel do not.
    const int64_t terms = s.R * s.S * s.C;
    const bool few = terms <= kFewTerms, filled = 6 * terms >= 5 * round_up(terms, 32);
    if (preferred == A::automatic && (!amx || strict || (few && !filled))) return A::lines;
    if (preferred == A::automatic && few && vectors(s.K) >= 2) return A::amx;
  }
  if (!std::is_same_v<T, float> || preferred == A::direct) return A::direct;
  const bool winograd = can_use_winograd(s) && !strict;
  if (preferred == A::amx) return amx ? A::amx : A::direct;
  if (preferred == A::col2im)
    return pass == Conv2dPass::backward_input && can_use_col2im(s) ? A::col2im : A::direct;
  if (preferred == A::winograd) return winograd ? A::winograd : A::direct;

  const bool backward = pass == Conv2dPass::backward_input, weight = pass == Conv2dPass::backward_weight;
  const int64_t height = backward ? s.H : s.P, width = backward ? s.W : s.Q;
  const int64_t from = backward ? s.group_filters() : s.group_channels();
  const int64_t to = backward ? s.group_channels() : s.group_filters();
  A best = A::direct;
  const int64_t pixels = s.N * s.P * s.Q * s.groups;
  const double handicap = strict ? 1 : 0.8;  // what is less exact than direct sums has to win by a fifth
  const bool dot = !weight && suits_dot<T>(s.R * s.S, from, to);
  double cycles = handicap * (dot ? dot_cycles(s, pixels, from, to, s.N * height * width * s.groups)
                                  : direct_cycles(s, pixels, from, to)) +
                  static_cast<double>(pixels * (from + to)) * Conv2dRates::split_cells;
  const auto consider = [&](A algorithm, double cost) {
    if (cost < cycles) best = algorithm, cycles = cost;
  };
  if (weight) {
    if (amx && s.R * s.S * s.group_channels() > 16) consider(A::amx, amx_weight_cycles(s));
    if (winograd) consider(A::winograd, winograd_weight_cycles(s));
  } else if (amx && s.R * s.S * from >= 16 && to >= 4) {
    consider(A::amx, amx_cycles(s, from, to));  // faster than minimal filtering wherever that is possible
  } else {
    if (backward && can_use_col2im(s)) consider(A::col2im, handicap * col2im_cycles(s));
    if (winograd) consider(A::winograd, winograd_cycles(s, height, width, from, to));
  }
  return best;
}

}  // namespace fc::cpu::FC_ISA
