// fetch_ahead.h — what an epilogue reads besides its sums comes to L1 while tiles are multiplied.
//
// The tiles' operands are in L1 and L2: meanwhile the way to memory is idle. Prefetches that follow each other
// closely would fill the queue of misses and hold up the tiles' own loads, so that they are spread: there are
// steps between the products.
#pragma once

#include <immintrin.h>

#include "cpu/kernels/work.h"

namespace fc::cpu::FC_ISA {

// Fetches nothing.
struct NoFetch {
  void step() {}
};

// Arrays that are laid out like the results.
class FetchAhead {
 public:
  void add_array(const float* values, const float* results) {
    if (values != nullptr) distance_[arrays_++] = address(values) - address(results);
  }
  bool wanted() const { return arrays_ > 0; }

  // A block's rows of `columns` results: n from `out` on, `distance` elements apart.
  void begin_block(int64_t columns) {
    lines_ = ceil_div(columns * kFloat, kLine);
    rows_ = next_ = 0;
  }
  void add_rows(const float* out, int64_t n, int64_t distance) {
    for (int64_t i = 0; i < n; ++i) row_[rows_++] = address(out + i * distance);
  }
  // All of the block in so many steps.
  void spread(int64_t steps) { rows_of_step_ = ceil_div(rows_, steps); }

  void step() {
    for (const int64_t end = min_of(next_ + rows_of_step_, rows_); next_ < end; ++next_) {
      for (int64_t i = 0; i < arrays_; ++i) {
        const intptr_t from = row_[next_] + distance_[i];
        for (int64_t line = 0; line < lines_; ++line)
          _mm_prefetch(reinterpret_cast<const char*>(from + line * kLine), _MM_HINT_T0);
      }
    }
  }

 private:
  static constexpr int64_t kLine = 64, kFloat = sizeof(float);
  static constexpr int64_t kMostRows = 32;   // of a block
  static constexpr int64_t kMostArrays = 3;  // gate, addend, what is summed up beside the results
  static intptr_t address(const float* p) { return reinterpret_cast<intptr_t>(p); }

  int64_t lines_ = 0, arrays_ = 0, rows_ = 0, next_ = 0, rows_of_step_ = 0;
  intptr_t distance_[kMostArrays] = {}, row_[kMostRows] = {};
};

}  // namespace fc::cpu::FC_ISA
