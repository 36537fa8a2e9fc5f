// amx_gather.h — sums down the columns of a convolution's results, taken while these are in registers.
//
// Math       without x: moments of the results v, mean[c] and Σ (v − mean[c])²       (batch_moments.h)
//            with x:    Σ v and Σ v·(x − mean[c])                                    (batch_norm_sums.h)
// Numerics   at most 32 results are added in float32, those sums in double. Moments are taken around the mean
//            of a band's first results, so that little cancels; bands are merged in ascending order
#pragma once

#include "cpu/kernels/amx_block.h"
#include "cpu/kernels/batch_moments.h"
#include "cpu/kernels/conv2d.h"

namespace fc::cpu::FC_ISA {

// The sums of a pair of column tiles over a band.
class PanelGather {
 public:
  PanelGather(const Gather& gather, int64_t column, int64_t columns)
      : gather_(gather), column_(column), columns_(columns) {
    if (gather.wanted() && !gather.moments()) {
      for (int64_t c = 0; c < columns; ++c) centre_[c] = gather.mean[column + c];
    }
  }

  bool wanted() const { return gather_.wanted(); }

  // M rows that go to `to`, `step` elements apart; the last vector has `tail` columns.
  template <int M, int V>
  FC_INLINE void add(const Vec<float> (&tile)[M][V], const float* to, int64_t step, int64_t tail) {
    if (gather_.moments() && !centred_) find_centre(tile);
    const float* x = gather_.moments() ? nullptr : gather_.x + (to - gather_.results);
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) {
      const int64_t at = v * kTileLines, count = v == V - 1 ? tail : kTileLines;
      const Vec<float> centre = load(centre_ + at);
      Vec<float> first[2] = {}, second[2] = {};  // two chains each hide the latency of the additions
#pragma GCC unroll 8
      for (int m = 0; m < M; ++m) {
        const Vec<float> d = (x == nullptr ? tile[m][v] : load_up_to(x + m * step + at, count)) - centre;
        const Vec<float> term = x == nullptr ? d : tile[m][v];
        first[m % 2] += term, second[m % 2] = fma<float>(term, d, second[m % 2]);
      }
      store(block_[0] + at, load(block_[0] + at) + (first[0] + first[1]));
      store(block_[1] + at, load(block_[1] + at) + (second[0] + second[1]));
    }
  }

  // After every 32 results or fewer.
  void close_block() {
    for (int64_t i = 0; i < 2; ++i) {
      for (int64_t c = 0; c < kPairLines; ++c) total_[i][c] += block_[i][c], block_[i][c] = 0;
    }
  }

  // Of `rows` results: to[c] and to[pitch + c].
  void store_totals(int64_t rows, double* to, int64_t pitch) const {
    for (int64_t c = 0; c < columns_; ++c) {
      double first = total_[0][c], second = total_[1][c];
      if (gather_.moments()) {
        const double offset = first / static_cast<double>(rows);
        first = centre_[c] + offset;
        second = max_or_zero(second - static_cast<double>(rows) * offset * offset);
      }
      to[column_ + c] = first, to[pitch + column_ + c] = second;
    }
  }

 private:
  // The mean of the first results.
  template <int M, int V>
  void find_centre(const Vec<float> (&tile)[M][V]) {
    for (int v = 0; v < V; ++v) {
      Vec<float> total{};
      for (int m = 0; m < M; ++m) total += tile[m][v];
      store(centre_ + v * kTileLines, total / broadcast(static_cast<float>(M)));
    }
    for (float& c : centre_) c = finite_or_zero<float>(c);
    centred_ = true;
  }

  static double max_or_zero(double v) { return v < 0 ? 0 : v; }

  const Gather& gather_;
  int64_t column_, columns_;
  bool centred_ = false;
  alignas(64) float centre_[kPairLines] = {};
  alignas(64) float block_[2][kPairLines] = {};
  alignas(64) double total_[2][kPairLines] = {};
};

// All bands' totals, [band][2][columns], become the first band's and then the caller's. rows_of(band) is how
// many results a band has.
template <class Rows>
inline void merge_bands(const Gather& gather, int64_t bands, int64_t columns, double* totals,
                        const Rows& rows_of) {
  int64_t rows = rows_of(0);
  for (int64_t band = 1; band < bands; ++band) {
    const double* from = totals + band * 2 * columns;
    if (gather.moments()) {
      merge_moments(columns, totals, rows, from, rows_of(band));
    } else {
      for (int64_t i = 0; i < 2 * columns; ++i) totals[i] += from[i];
    }
    rows += rows_of(band);
  }
  for (int64_t i = 0; i < 2 * columns; ++i) gather.sums[i] = totals[i];
}

}  // namespace fc::cpu::FC_ISA
