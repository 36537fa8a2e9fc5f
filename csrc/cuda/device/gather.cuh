// gather.cuh — a convolution as a matrix product: which pixel and tap a row and a column of it stand for.
//
//              M (rows)          N (columns)   K (depth)            A             B
// forward      pixels of y       filters       taps x channels      x, gathered   w (K,N)
// backward     pixels of dx      channels      taps x filters       dy, gathered  w (N,K) per tap
//   _input     of one phase
// backward     taps x channels   filters       pixels of y          x, gathered   dy (K,N)
//   _weight
// A dense layer is the case of one pixel per image and one tap. Each group of channels is a product of its
// own.
//
// One axis of the gathered image: cell = position * step + first + tap * tap_step, and what lies outside is
// 0. With a stride, backward_input falls into phases: pixels with equal (h mod stride_h, w mod stride_w) are
// reached by the same taps, so a phase is a product without wasted taps (csrc/cpu/kernels/axis.h).
// Source     phases: Dumoulin and Visin, A guide to convolution arithmetic for deep learning, section 4,
//            https://arxiv.org/abs/1603.07285
#pragma once

#include "cuda/device/divider.cuh"

namespace fc::cuda {

struct GatherAxis {
  int cells, step, first, tap_step;
};

struct Gather {
  GatherAxis h, w;
  int pixels, taps_by_channels;  // extents of the product
  Divider image, line;           // pixels per image and per line; of windows, how many windows
  Divider channels, taps_w;      // channels of a group, taps per filter line
  int64_t image_elements, cell_elements;
  // Of the filter: where tap (0,0) begins, and elements from tap to tap.
  int64_t filter_first, filter_tap_h, filter_tap_w;
  // Of the results of pixels: where the first is, and elements from one to the next along each axis.
  int64_t out_first, out_image, out_line, out_pixel;
  // Of forward, where pixels come window by window: 2, else 0. The four pixels of a window of 2 x 2 are
  // 2^window_bits neighbours, of which one result is kept; results lie in the order of the windows.
  int window_bits;
};

// The cell that a pixel's tap (0,0) reads, in image n; n < 0: a row beyond the last pixel.
struct Pixel {
  int n, h, w;
};

__device__ __forceinline__ Pixel locate_pixel(const Gather& g, int row) {
  if (row >= g.pixels) return {-1, 0, 0};
  const int n = g.image.divide(row), p = g.line.divide(row);
  return {n, p * g.h.step + g.h.first, row * g.w.step + g.w.first};
}

// The same where pixels may come window by window: without a branch, for which there are no registers.
__device__ __forceinline__ Pixel locate_window_pixel(const Gather& g, int row) {
  if (row >= g.pixels) return {-1, 0, 0};
  const int cell = row & ((1 << g.window_bits) - 1), scale = g.window_bits / 2;
  row >>= g.window_bits;
  const int n = g.image.divide(row), p = (g.line.divide(row) << scale) + (cell >> 1);
  const int q = (row << scale) + (cell & 1);
  return {n, p * g.h.step + g.h.first, q * g.w.step + g.w.first};
}

// How far a tap is from tap (0,0), and a channel.
struct Tap {
  int row, column;  // of the filter
  int channel;      // < 0: beyond the last
};

__device__ __forceinline__ Tap locate_tap(const Gather& g, int index) {
  if (index >= g.taps_by_channels) return {0, 0, -1};
  int tap = g.channels.divide(index);
  const int r = g.taps_w.divide(tap);
  return {r, tap, index};
}

// Offset of a pixel's cell under a tap, from the beginning of the images; < 0 where it is to count as 0.
__device__ __forceinline__ int64_t locate_cell(const Gather& g, const Pixel& pixel, const Tap& tap) {
  const int h = pixel.h + tap.row * g.h.tap_step, w = pixel.w + tap.column * g.w.tap_step;
  const bool inside = pixel.n >= 0 && tap.channel >= 0 &&
                      static_cast<unsigned>(h) < static_cast<unsigned>(g.h.cells) &&
                      static_cast<unsigned>(w) < static_cast<unsigned>(g.w.cells);
  if (!inside) return -1;
  return pixel.n * g.image_elements + static_cast<int64_t>(h * g.w.cells + w) * g.cell_elements + tap.channel;
}

// Where the results of a pixel begin.
__device__ __forceinline__ int64_t locate_result(const Gather& g, int row) {
  const int n = g.image.divide(row), p = g.line.divide(row);
  return g.out_first + n * g.out_image + p * g.out_line + row * g.out_pixel;
}

}  // namespace fc::cuda
