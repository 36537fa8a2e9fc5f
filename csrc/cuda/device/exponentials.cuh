// exponentials.cuh — Σ exp(z − max z) over a row, in a form that keeps the digits of a confident one.
//
// Math         total = count + others, with count elements equal to the largest, whose exponential is 1
// One pass     a row in memory is read once: where a new largest appears, what was summed so far is rescaled
//              (Milakov, Gimelshein 2018, "Online normalizer calculation for softmax")
// Edges        a row with NaN, with +inf, or of -inf alone has the total NaN
#pragma once

#include "cuda/device/row_values.cuh"

namespace fc::cuda {

struct Exponentials {
  float largest = -INFINITY, count = 0, others = 0;

  __device__ __forceinline__ float total() const { return count + others; }
  __device__ __forceinline__ float of(float z) const { return expf(z - largest); }
  // The total less the exponential of z, an element: without cancellation where that is the largest.
  __device__ __forceinline__ float rest(float z) const {
    return z == largest ? others + (count - 1) : total() - of(z);
  }
  // log total
  __device__ __forceinline__ float log_total() const { return log1pf(others + (count - 1)); }
  __device__ __forceinline__ float log_softmax(float z) const { return (z - largest) - log_total(); }

  __device__ __forceinline__ void add(float z) {  // a NaN is not larger, not equal, and makes `others` NaN
    if (z > largest) {
      others = (others + count) * expf(largest - z);
      count = 1;
      largest = z;
    } else if (z == largest) {
      ++count;
    } else {
      others += of(z);
    }
  }
};

// Of the matrix `input` of a row.
template <int input, class T, class Layout, int kInputs>
__device__ __forceinline__ Exponentials exponentials(const RowValues<T, Layout, kInputs>& rows) {
  Exponentials own;
  if constexpr (Layout::kInRegisters) {
    rows.each([&](const float (&v)[kInputs], int64_t) { own.largest = fmaxf(own.largest, v[input]); });
    own.largest = row_max<Layout>(own.largest);
    rows.each([&](const float (&v)[kInputs], int64_t) {
      const bool is_largest = v[input] == own.largest;
      own.count += is_largest ? 1.0f : 0.0f;
      own.others += is_largest ? 0.0f : own.of(v[input]);
    });
  } else {
    rows.each([&](const float (&v)[kInputs], int64_t) { own.add(v[input]); });
    const float largest = row_max<Layout>(own.largest);
    if (own.largest != largest) {
      own.others = (own.others + own.count) * expf(own.largest - largest);
      own.count = 0;
      own.largest = largest;
    }
  }
  own.others = row_sum<Layout>(own.others);
  own.count = row_sum<Layout>(own.count) * expf(own.largest - own.largest);  // infinite: NaN
  return own;
}

}  // namespace fc::cuda
