// batch_norm_scale.h — y = act((x - mean) * scale + shift + residual), one mean, scale and shift per column.
#pragma once

#include "cpu/kernels/activation.h"
#include "cpu/kernels/column_sums.h"

namespace fc::cpu::FC_ISA {

// Each array as wide as a folded row.
template <class T>
struct ColumnScale {
  T *mean, *scale, *shift;

  static int64_t size(int64_t rows, int64_t width) { return 3 * folded<T>(rows, width).width; }
  ColumnScale(int64_t rows, int64_t width, T* storage)
      : mean(storage),
        scale(mean + folded<T>(rows, width).width),
        shift(scale + folded<T>(rows, width).width) {}

  // After the first `width` elements of each were written.
  void repeat(int64_t width, int64_t factor) {
    for (T* columns : {mean, scale, shift}) repeat_in_place(columns, width, factor);
  }
};

// residual may be null.
template <class T>
void scale_columns(int64_t rows, int64_t width, const T* x, ColumnScale<T> columns, const T* residual,
                   bool relu, T* y, int threads) {
  columns.repeat(width, folded<T>(rows, width).factor);
  const auto run = [&](const auto& finish, const auto*... others) {
    const auto scale = [=](int64_t at, int64_t c, int64_t count) {
      const Vec<T> centred = load_up_to(x + at, count) - load_up_to(columns.mean + c, count);
      const Vec<T> scaled =
          fma<T>(centred, load_up_to(columns.scale + c, count), load_up_to(columns.shift + c, count));
      return finish(scaled, at, count);
    };
    write_folded<T>(rows, width, threads_for(rows * width, threads), y, scale, x, others...);
  };
  const auto add_residual = [=](Vec<T> v, int64_t at, int64_t count) {
    return v + load_up_to(residual + at, count);
  };
  if (residual == nullptr) {
    if (!relu) return run([](Vec<T> v, int64_t, int64_t) { return v; });
    return run([](Vec<T> v, int64_t, int64_t) { return Relu<T>().value(v); });
  }
  if (!relu) return run(add_residual, residual);
  run([=](Vec<T> v, int64_t at, int64_t count) { return Relu<T>().value(add_residual(v, at, count)); },
      residual);
}

}  // namespace fc::cpu::FC_ISA
