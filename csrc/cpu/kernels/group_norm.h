// group_norm.h — sums over the pixels of each sample, one per channel: what both directions begin with.
#pragma once

#include "core/norm_spec.h"
#include "cpu/kernels/column_sums.h"

namespace fc::cpu::FC_ISA {

// Doubles that sum_samples needs.
inline int64_t sample_sums_size(const GroupNormSpec& s, int sums) {
  return s.samples * max_of(1, RowParts(s.rows).parts) * sums * s.channels;
}

// K sums per sample and channel: afterwards those of sample n stand at sums + n * K * channels, one row for
// each k. add(sample, row, channel, count, sums) adds the terms of `count` channels; rows count through all
// samples.
template <class T, int K, class Add>
void sum_samples(const GroupNormSpec& s, int threads, double* sums, const Add& add) {
  const RowParts cut(s.rows);
  const int64_t size = K * s.channels;
  const auto place = [&](int64_t n, int64_t part) { return sums + (part * s.samples + n) * size; };
  parallel_for(threads_for(s.samples * s.rows * s.channels, threads), s.samples * cut.parts,
               [&](int64_t task) {
                 const int64_t n = task / cut.parts, part = task - n * cut.parts;
                 double* to = place(n, part);
                 for (int64_t i = 0; i < size; ++i) to[i] = 0;
                 const auto add_row = [&](int64_t row, int64_t c, int64_t count, Vec<T>* terms) {
                   add(n, row, c, count, terms);
                 };
                 cut.for_each_block(part, [&](int64_t first, int64_t count) {
                   const int64_t begin = n * s.rows + first;
                   sum_columns<T, K>(begin, begin + count, s.channels, add_row, to);
                 });
               });
  add_up_blocks(cut.parts, s.samples * size, sums, threads);
}

// Calls f(sample, at, channel, count) for every register of x, `at` counting through all of it. f holds what it needs
// by value, see for_each_folded.
template <class T, class F>
void for_each_in_samples(const GroupNormSpec& s, int threads, const F& f) {
  const int64_t rows = s.rows, channels = s.channels;
  parallel_blocks(threads_for(s.samples * rows * channels, threads), s.samples * rows,
                  rows_per_block(channels), [=](int64_t begin, int64_t end) {
                    const F own = f;
                    for (int64_t row = begin; row < end;) {
                      const int64_t n = row / rows;
                      for (const int64_t last = min_of(end, (n + 1) * rows); row < last; ++row) {
                        for_each_vector<T>(channels, [&](int64_t c, int64_t count) {
                          own(n, row * channels + c, c, count);
                        });
                      }
                    }
                  });
}

}  // namespace fc::cpu::FC_ISA
