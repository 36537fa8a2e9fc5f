// finite.h — whether numbers are finite: 0 · v is 0 then, and NaN where v is infinite or NaN.
#pragma once

#include "cpu/kernels/work.h"
#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {

template <class T>
class FiniteWatch {
 public:
  FC_INLINE void see(Vec<T> v) { zeros_ = fma<T>(v, Vec<T>{}, zeros_); }
  T total() const { return sum<T>(zeros_); }  // 0, or NaN

 private:
  Vec<T> zeros_{};
};

template <class T>
inline bool all_finite(const T* data, int64_t n) {
  FiniteWatch<T> watch[4];  // chains enough to hide the latency of fma
  int64_t i = 0;
  for (; i + 4 * kLanes<T> <= n; i += 4 * kLanes<T>) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) watch[j].see(load(data + i + j * kLanes<T>));
  }
  for (; i < n; i += kLanes<T>) watch[0].see(load_up_to(data + i, min_of(n - i, kLanes<T>)));
  return watch[0].total() + watch[1].total() + watch[2].total() + watch[3].total() == T(0);
}

}  // namespace fc::cpu::FC_ISA
