// batch_norm_scale.h — y = (x - mean) * scale + shift, one mean, scale and shift per column.
#pragma once

#include "cpu/kernels/column_sums.h"

namespace fc::cpu::FC_ISA {

template <class T>
void scale_columns(int64_t rows, int64_t width, const T* x, const T* mean, const T* scale, const T* shift,
                   T* y, int threads) {
  const int64_t block = rows_per_block(width);
  parallel_blocks(threads_for(rows * width, threads), rows, block, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const T* x_row = x + row * width;
      T* y_row = y + row * width;
      for_each_vector<T>(width, [&](int64_t c, int64_t count) {
        const Vec<T> centred = load_up_to(x_row + c, count) - load_up_to(mean + c, count);
        store_up_to(y_row + c, fma<T>(centred, load_up_to(scale + c, count), load_up_to(shift + c, count)),
                    count);
      });
    }
  });
}

}  // namespace fc::cpu::FC_ISA
