// depthwise.cuh — depthwise convolutions: how threads share out an image, and the cells that one reads for a
// line of its pixels.
//
// A thread has V neighbouring channels of kAcross neighbouring pixels in each of a few lines, one below the
// other: a cell is loaded once for all pixels of a line, and what the next line reads again is still in the
// L1 cache.
#pragma once

#include <algorithm>

#include "cuda/device/chunk.cuh"
#include "cuda/device/divider.cuh"

namespace fc::cuda {

// The images that are read (H, W) and those of the pixels (P, Q).
struct DepthwiseImages {
  int H, W, P, Q, C;
  int pad_top, pad_left;
  int lines;                     // of a thread
  int strips;                    // threads per chunk of channels
  Divider chunks, across, down;  // of channels; strips of a line; strips below one another

  // Lines of a thread: as many as leave `threads` threads work, at most 8.
  DepthwiseImages(int64_t N, int64_t H, int64_t W, int64_t P, int64_t Q, int64_t C, int64_t pad_top,
                  int64_t pad_left, int64_t strip, int64_t V, int64_t threads)
      : H(static_cast<int>(H)),
        W(static_cast<int>(W)),
        P(static_cast<int>(P)),
        Q(static_cast<int>(Q)),
        C(static_cast<int>(C)),
        pad_top(static_cast<int>(pad_top)),
        pad_left(static_cast<int>(pad_left)) {
    constexpr int64_t kMostLines = 8;
    const int64_t in_line = ceil_div(Q, strip);
    lines = static_cast<int>(std::clamp(N * P * in_line * (C / V) / threads, int64_t{1}, kMostLines));
    strips = static_cast<int>(N * ceil_div(P, lines) * in_line);
    chunks = Divider(C / V), across = Divider(std::max<int64_t>(in_line, 1));
    down = Divider(std::max<int64_t>(ceil_div(P, lines), 1));
  }
};

// Where a thread's pixels begin.
struct Strip {
  int n, p, q;

  __device__ __forceinline__ Strip(const DepthwiseImages& d, int strip, int across) {
    const int line = d.across.divide(strip);
    q = strip * across;
    n = d.down.quotient(line);
    p = (line - n * static_cast<int>(d.down.divisor)) * d.lines;
  }
};

// The cells of one line under the window of kAcross pixels: those outside the image are 0.
template <class T, int V, int kWindow, int kStride, int kAcross>
struct StripCells {
  static constexpr int kCells = (kAcross - 1) * kStride + kWindow;
  Chunk<T, V> cell[kCells];

  // `line`: the thread's channels of the line's cell 0; `first`: the first pixel's first cell.
  __device__ __forceinline__ void load(const DepthwiseImages& d, const T* line, int first) {
#pragma unroll
    for (int j = 0; j < kCells; ++j) {
      const bool inside = static_cast<unsigned>(first + j) < static_cast<unsigned>(d.W);
      cell[j] = inside ? load_chunk<V>(line + (first + j) * d.C) : zero_chunk<T, V>();
    }
  }
};

// What lies under a strip's windows.
template <class T, int V, int kWindow, int kStride, int kAcross>
struct StripImage {
  int first_h, first_w;
  const T* channels;  // the thread's, of the image's cell (0, 0)

  __device__ __forceinline__ StripImage(const DepthwiseImages& d, const Strip& at, const T* x, int c)
      : first_h(at.p * kStride - d.pad_top),
        first_w(at.q * kStride - d.pad_left),
        channels(x + at.n * d.H * d.W * d.C + c) {}

  // use(r, cells) for every line r of the windows of the strip's line that is in the image.
  template <class Use>
  __device__ __forceinline__ void each(const DepthwiseImages& d, int line, const Use& use) const {
#pragma unroll
    for (int r = 0; r < kWindow; ++r) {
      const int h = first_h + line * kStride + r;
      if (static_cast<unsigned>(h) >= static_cast<unsigned>(d.H)) continue;
      StripCells<T, V, kWindow, kStride, kAcross> cells;
      cells.load(d, channels + h * d.W * d.C, first_w);
      use(r, cells);
    }
  }
};

}  // namespace fc::cuda
