// rnn.h — what both directions of a recurrence share: blocks of samples, and the product of a step.
//
// Samples are independent, so a block of them runs all its steps on one thread, without a barrier between
// steps; the recurrent weights are packed once and stream from the cache that holds them (L2 up to about 1
// MiB). The two limits: a step of a block does 2·rows·U·G·U operations on U·G·U weights, so that below about
// 12 rows the bandwidth of that cache is what counts; and the gates are 4 to 5 passes over rows·G·U numbers
// in L1, whose exponentials cost about as much as a product over 16 units.
#pragma once

#include "core/rnn_spec.h"
#include "cpu/kernels/activation.h"
#include "cpu/kernels/igemm_filter.h"
#include "cpu/kernels/tile.h"

namespace fc::cpu::FC_ISA {

// Samples of a block: whole register tiles, enough blocks to share out. By shape alone.
inline int64_t rnn_block(int64_t samples) {
  const int64_t tile = tile_rows(kTileVectors), most = 8 * tile;
  return min_of(most, round_up(max_of(1, ceil_div(samples, kTasks / 2)), tile));
}

// out[i][column] (+)= Σ_k rows[i][k] · b[k][column], b (depth, columns) packed; each sum one chain of fma,
// ascending in k.
template <class T>
struct StepProduct {
  Panels<T> panels;
  PackedFilter<T> packed;
  int64_t depth;

  StepProduct(int64_t depth, int64_t columns, WorkspaceCutter& cutter)
      : panels(columns), packed(panels, 1, 1, depth, cutter), depth(depth) {}

  // b[k][column] = w[k * row + column * across], one of which is 1.
  void pack(const T* w, int64_t row, int64_t across, int threads) const {
    packed.fill({w, 1, 0, 0, row, across, 0}, panels, threads);
  }

  void run(int64_t count, const T* const* rows, T* const* out, bool accumulate) const {
    TileProduct<T> t{};
    t.taps = 1, t.depth = depth, t.accumulate = accumulate;
    for (int64_t panel = 0; panel < panels.count; ++panel) {
      const int64_t vectors = panels.vectors_of(panel).size();
      const int64_t tiles = ceil_div(count, tile_rows(static_cast<int>(vectors)));
      t.b = packed.at(panels, 0, panel, 0, 0), t.b_stride = panels.width_of(panel);
      t.column = panels.column_of(panel), t.columns = panels.columns_of(panel);
      for (int64_t i = 0; i < tiles; ++i) {
        const Range run = part_of(count, tiles, i);
        t.rows = rows + run.begin, t.out = out + run.begin;
        multiply_tile(run.size(), vectors, t);
      }
    }
  }
};

// A block of samples with what every step needs.
template <class T>
struct RnnBlock {
  const RnnSpec& s;
  int64_t first, count;

  RnnBlock(const RnnSpec& s, int64_t block)
      : s(s), first(block * rnn_block(s.N)), count(min_of(rnn_block(s.N), s.N - first)) {}

  // Row i of an array (N, T, width) at a time or place.
  template <class E>
  E* row(E* array, int64_t i, int64_t at, int64_t width) const {
    return array + ((first + i) * s.T + at) * width;
  }
  // The state before a step: a row of y, of the initial state, or zeros.
  const T* before(const T* y, const T* initial, const T* zeros, int64_t i, int64_t step) const {
    if (step > 0) return row(y, i, s.place(step - 1), s.U);
    return initial != nullptr ? initial + (first + i) * s.U : zeros;
  }
};

template <class T>
inline void copy_numbers(const T* from, T* to, int64_t n) {
  for_each_vector<T>(n, [&](int64_t j, int64_t m) { store_up_to(to + j, load_up_to(from + j, m), m); });
}

template <class T>
inline void add_numbers(const T* from, T* to, int64_t n) {
  for_each_vector<T>(n, [&](int64_t j, int64_t m) {
    store_up_to(to + j, load_up_to(to + j, m) + load_up_to(from + j, m), m);
  });
}

inline int threads_for_steps(const RnnSpec& s, int threads) {
  return threads_for_products(s.N * s.T * s.U * s.gates() * s.U, s.U * s.gates() * s.U, threads);
}

}  // namespace fc::cpu::FC_ISA
