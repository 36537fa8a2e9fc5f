// conv_product.cuh — Conv2dSpec x pass -> Igemm: the only file that knows both alphabets.
#pragma once

#include <numeric>

#include "core/conv2d_spec.h"
#include "cuda/device/igemm.cuh"

namespace fc::cuda {

// Below this, rounding up to tiles stays inside an int.
inline constexpr int64_t kMostInt = (int64_t{1} << 31) - (int64_t{1} << 16);

// Whether every index of the product, and every cell it may ask for, fits an int.
inline bool fits_int(const Conv2dSpec& s) {
  constexpr int64_t kSlack = 8;  // pixels beyond the last, which threads may look at and leave out
  const auto axis_fits = [](int64_t positions, int64_t step, int64_t taps, int64_t dilation, int64_t pad) {
    const auto in_double = static_cast<double>(positions) * static_cast<double>(step) +
                           static_cast<double>(taps) * static_cast<double>(dilation) +
                           static_cast<double>(pad);
    return in_double < static_cast<double>(kMostInt);
  };
  return axis_fits(s.P + s.H + kSlack, s.stride_h, s.R, s.dilation_h, s.pad_top) &&
         axis_fits(s.Q + s.W + kSlack, s.stride_w, s.S, s.dilation_w, s.pad_left) &&
         s.N * s.P * s.Q < kMostInt && s.N * s.H * s.W < kMostInt && s.H * s.W < kMostInt &&
         s.R * s.S * s.C < kMostInt && s.R * s.S * s.K < kMostInt && s.groups < (1 << 16);
}

inline Gather forward_gather(const Conv2dSpec& s) {
  const auto i = [](int64_t v) { return static_cast<int>(v); };
  Gather g{};
  g.h = {i(s.H), i(s.stride_h), i(-s.pad_top), i(s.dilation_h)};
  g.w = {i(s.W), i(s.stride_w), i(-s.pad_left), i(s.dilation_w)};
  g.pixels = i(s.N * s.P * s.Q);
  g.taps_by_channels = i(s.R * s.S * s.group_channels());
  g.image = Divider(s.P * s.Q), g.line = Divider(s.Q);
  g.channels = Divider(s.group_channels()), g.taps_w = Divider(s.S);
  g.image_elements = s.H * s.W * s.C, g.cell_elements = s.C;
  g.out_image = s.P * s.Q * s.K, g.out_line = s.Q * s.K, g.out_pixel = s.K;
  return g;
}

// The same of the pixels that windows of 2 x 2 side by side cover.
inline Gather window_gather(const Conv2dSpec& s) {
  Gather g = forward_gather(s);
  const int64_t down = s.P / 2, across = s.Q / 2;
  g.window_bits = 2;
  g.pixels = static_cast<int>(s.N * down * across * 4);
  g.image = Divider(down * across), g.line = Divider(across);
  g.out_pixel = s.K;
  return g;
}

// One axis of the pixels h = phase + i * stride of dx: the taps r with a whole p = (h + pad - r * dilation) /
// stride are first_tap, first_tap + tap_stride, ..., and p falls evenly over them.
struct PhaseAxis {
  int64_t pixels, taps = 0, first_tap = 0, tap_stride, first_cell = 0, cell_step;

  PhaseAxis(int64_t cells, int64_t stride, int64_t taps_of_filter, int64_t dilation, int64_t pad,
            int64_t phase)
      : pixels(ceil_div(cells - phase, stride)) {
    const int64_t common = std::gcd(stride, dilation);
    tap_stride = stride / common, cell_step = -(dilation / common);
    for (int64_t r = 0; r < std::min(tap_stride, taps_of_filter); ++r) {
      if ((phase + pad - r * dilation) % stride != 0) continue;
      first_tap = r, first_cell = (phase + pad - r * dilation) / stride;
      taps = ceil_div(taps_of_filter - r, tap_stride);
      return;
    }
  }
};

inline Gather phase_gather(const Conv2dSpec& s, const PhaseAxis& h, const PhaseAxis& w, int64_t phase_h,
                           int64_t phase_w) {
  const auto i = [](int64_t v) { return static_cast<int>(v); };
  const int64_t tap = s.group_channels() * s.K;
  Gather g{};
  g.h = {i(s.P), 1, i(h.first_cell), i(h.cell_step)};
  g.w = {i(s.Q), 1, i(w.first_cell), i(w.cell_step)};
  g.pixels = i(s.N * h.pixels * w.pixels);
  g.taps_by_channels = i(h.taps * w.taps * s.group_filters());
  g.image = Divider(h.pixels * w.pixels), g.line = Divider(w.pixels);
  g.channels = Divider(s.group_filters()), g.taps_w = Divider(w.taps);
  g.image_elements = s.P * s.Q * s.K, g.cell_elements = s.K;
  g.filter_first = (h.first_tap * s.S + w.first_tap) * tap;
  g.filter_tap_h = h.tap_stride * s.S * tap, g.filter_tap_w = w.tap_stride * tap;
  g.out_first = (phase_h * s.W + phase_w) * s.C;
  g.out_image = s.H * s.W * s.C, g.out_line = s.stride_h * s.W * s.C, g.out_pixel = s.stride_w * s.C;
  return g;
}

// Calls f(gather) for every phase with taps: at most R x S of the stride_h x stride_w. True if all have some.
template <class F>
bool for_each_phase(const Conv2dSpec& s, const F& f) {
  bool all = true;
  for (int64_t h = 0; h < std::min(s.stride_h, s.H); ++h) {
    const PhaseAxis axis_h(s.H, s.stride_h, s.R, s.dilation_h, s.pad_top, h);
    for (int64_t w = 0; w < std::min(s.stride_w, s.W); ++w) {
      const PhaseAxis axis_w(s.W, s.stride_w, s.S, s.dilation_w, s.pad_left, w);
      if (axis_h.taps > 0 && axis_w.taps > 0) {
        f(phase_gather(s, axis_h, axis_w, h, w));
      } else {
        all = false;
      }
    }
  }
  return all;
}

// Whether chunks of T start and end where n does.
template <class T, class... N>
bool whole_chunks(N... n) {
  return ((n % static_cast<int64_t>(16 / sizeof(T)) == 0) && ...);
}

// The product whose rows are gathered from x and whose columns are those of w (or, backward_weight, of dy).
template <Pass kPass, class T, class Result = ResultOf<kPass, T>>
Igemm<kPass, T> filters_product(const Conv2dSpec& s, const T* x, const T* w, const Epilogue<Result>& epilogue,
                                Result* out) {
  Igemm<kPass, T> p{};
  p.a = x, p.b = w, p.out = out;
  p.columns = static_cast<int>(s.group_filters()), p.groups = static_cast<int>(s.groups), p.b_line = s.K;
  p.a_group = s.group_channels(), p.b_group = s.group_filters(), p.out_group = s.group_filters();
  p.chunks_a = whole_chunks<T>(s.C, s.group_channels()) && aligned_for_packs(x);
  p.chunks_b = whole_chunks<T>(s.K, s.group_filters()) && aligned_for_packs(w);
  p.chunks_out = whole_chunks<T>(s.K, s.group_filters()) && epilogue.aligned(out);
  p.phases = 1, p.phase[0] = forward_gather(s);
  p.epilogue = epilogue;
  return p;
}

template <class T>
Igemm<Pass::forward, T> forward_product(const Conv2dSpec& s, const T* x, const T* w,
                                        const Epilogue<T>& epilogue, T* y) {
  return filters_product<Pass::forward>(s, x, w, epilogue, y);
}

template <class T>
Igemm<Pass::backward_weight, T> backward_weight_product(const Conv2dSpec& s, const T* x, const T* dy,
                                                        float* dw) {
  return filters_product<Pass::backward_weight>(s, x, dy, Epilogue<float>{},
                                                dw);  // lines of dy are K, as w's
}

// Without its phases.
template <class T>
Igemm<Pass::backward_input, T> backward_input_product(const Conv2dSpec& s, const T* dy, const T* w,
                                                      const Epilogue<T>& epilogue, T* dx) {
  Igemm<Pass::backward_input, T> p{};
  p.a = dy, p.b = w, p.out = dx;
  p.columns = static_cast<int>(s.group_channels()), p.groups = static_cast<int>(s.groups), p.b_line = s.K;
  p.a_group = s.group_filters(), p.b_group = s.group_filters(), p.out_group = s.group_channels();
  p.chunks_a = p.chunks_b = whole_chunks<T>(s.K, s.group_filters()) && aligned_for_packs(dy, w);
  p.chunks_out = whole_chunks<T>(s.C, s.group_channels()) && epilogue.aligned(dx);
  p.epilogue = epilogue;
  return p;
}

}  // namespace fc::cuda
