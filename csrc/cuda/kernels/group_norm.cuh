// group_norm.cuh — what both directions share: buffers per sample and channel, and where an element lies.
#pragma once

#include "core/norm_spec.h"
#include "cuda/device/divider.cuh"
#include "cuda/device/map.cuh"
#include "cuda/device/matrix_sums.cuh"
#include "cuda/table.h"

namespace fc::cuda {

// Behind what sums need: two float64 and four float32 per sample and channel.
struct GroupNormBuffers {
  double* sums[2];
  float* vectors[4];

  template <class T>
  static size_t skipped(const GroupNormSpec& s) {
    return matrix_sums_workspace<T>(s.samples, s.rows, s.channels);
  }
  template <class T>
  static size_t bytes(const GroupNormSpec& s) {
    const auto cells = static_cast<size_t>(s.samples * s.channels);
    return skipped<T>(s) + cells * (2 * sizeof(double) + 4 * sizeof(float));
  }
  template <class T>
  static GroupNormBuffers in(const GroupNormSpec& s, void* workspace) {
    const int64_t cells = s.samples * s.channels;
    auto* first = reinterpret_cast<double*>(static_cast<char*>(workspace) + skipped<T>(s));
    auto* floats = reinterpret_cast<float*>(first + 2 * cells);
    return {{first, first + cells}, {floats, floats + cells, floats + 2 * cells, floats + 3 * cells}};
  }
};

// The extents as a kernel needs them.
struct GroupNormShape {
  int64_t rows, channels, groups, each;
  WideDivider by_channels, by_rows;

  explicit GroupNormShape(const GroupNormSpec& s)
      : rows(s.rows),
        channels(s.channels),
        groups(s.groups),
        each(s.group_channels()),
        by_channels(s.channels, s.samples * s.rows * s.channels),
        by_rows(s.rows, s.samples * s.rows) {}

  // Channel and (sample, channel) of element i of x.
  __device__ __forceinline__ int64_t cell(int64_t i, int64_t& c) const {
    const int64_t row = by_channels.quotient(i);
    c = i - row * channels;
    return by_rows.quotient(row) * channels + c;
  }
};

template <class F>
__global__ void __launch_bounds__(256) each_kernel(int64_t n, const __grid_constant__ F f) {
  const int64_t i = global_thread();
  if (i < n) f(i);
}

// f(i) for i < n, a thread each.
template <class F>
void for_each(const Context& context, int64_t n, const F& f) {
  if (n == 0) return;
  launch(each_kernel<F>, dim3(static_cast<unsigned>(ceil_div(n, 256))), dim3(256), 0, context, n, f);
}

}  // namespace fc::cuda
