// patch.cuh — convolutions of images with a few channels: the cells that a tile of pixels reads, in shared
// memory.
//
// A tile is kTilePixels pixels of one image, a rectangle with lines of 2^line_bits; they are numbered line by
// line, or window by window of 2 x 2. What it reads is a rectangle of the image, its patch, zeros where that
// sticks out. Pixel i meets tap-and-channel d (in the order r, s, c) in patch[pixel_place(i) + tap_place(d)]:
// the product needs no other form of the image, and memory gives each cell once a tile instead of once a tap.
#pragma once

#include "cuda/device/chunk.cuh"
#include "cuda/device/conv_product.cuh"

namespace fc::cuda {

inline constexpr int kTileBits = 7, kTilePixels = 1 << kTileBits;

// A tile of pixels of y, and where its patch begins; cells count elements along the line, beyond the image's
// ends too.
struct Tile {
  int n, p, q;
  int first_h, first_cell;
};

struct PatchTiles {
  int H, line_cells, C, K, P, Q;
  int stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
  int line_bits, tiles;
  Divider tiles_down, tiles_across;  // of an image
  int patch_cells, depth;            // depth: taps x channels
  Divider patch_line;
  Divider channels, taps_w;
  bool windows;  // only of these, whose largest results are stored

  // The tile's shape that leaves the fewest pixels idle; among those, the one with the smallest patch. tiles
  // == 0: there is none with a patch of at most `most_cells`.
  PatchTiles(const Conv2dSpec& s, int64_t most_cells, bool windows = false);

  __device__ __forceinline__ Tile locate(int tile) const {
    Tile at{};
    int line = tiles_across.quotient(tile);
    at.q = (tile - line * static_cast<int>(tiles_across.divisor)) << line_bits;
    at.n = tiles_down.divide(line);
    at.p = line << (kTileBits - line_bits);
    at.first_h = at.p * stride_h - pad_top;
    at.first_cell = (at.q * stride_w - pad_left) * C;
    return at;
  }
  __device__ __forceinline__ int row_of(int pixel) const {
    return windows ? (pixel >> (line_bits + 1)) * 2 + (pixel >> 1 & 1) : pixel >> line_bits;
  }
  __device__ __forceinline__ int column_of(int pixel) const {
    const int across = (1 << line_bits) - 1;
    return windows ? (pixel >> 1 & across & ~1) + (pixel & 1) : pixel & across;
  }
  __device__ __forceinline__ bool has(const Tile& at, int pixel) const {
    return at.p + row_of(pixel) < P && at.q + column_of(pixel) < Q;
  }
  // Where the results of a pixel that is there begin, in elements of y.
  __device__ __forceinline__ int64_t result(const Tile& at, int pixel) const {
    const int64_t line = static_cast<int64_t>(at.n) * P + at.p + row_of(pixel);
    return (line * Q + at.q + column_of(pixel)) * K;
  }
  // The same of the window that it is the first pixel of.
  __device__ __forceinline__ int64_t window_result(const Tile& at, int pixel) const {
    const int64_t line = static_cast<int64_t>(at.n) * (P / 2) + (at.p + row_of(pixel)) / 2;
    return (line * (Q / 2) + (at.q + column_of(pixel)) / 2) * K;
  }
  __device__ __forceinline__ int pixel_place(int pixel) const {
    return row_of(pixel) * stride_h * patch_length() + column_of(pixel) * stride_w * C;
  }
  __device__ __forceinline__ int tap_place(int index) const {
    int tap = channels.divide(index);
    const int r = taps_w.divide(tap);
    return r * dilation_h * patch_length() + tap * dilation_w * C + index;
  }
  __device__ __forceinline__ int patch_length() const { return static_cast<int>(patch_line.divisor); }
};

inline PatchTiles::PatchTiles(const Conv2dSpec& s, int64_t most_cells, bool windows) : windows(windows) {
  const auto i = [](int64_t v) { return static_cast<int>(v); };
  H = i(s.H), line_cells = i(s.W * s.C), C = i(s.C), K = i(s.K), P = i(s.P), Q = i(s.Q);
  if (windows) P -= P % 2, Q -= Q % 2;
  stride_h = i(s.stride_h), stride_w = i(s.stride_w), dilation_h = i(s.dilation_h),
  dilation_w = i(s.dilation_w);
  pad_top = i(s.pad_top), pad_left = i(s.pad_left);
  depth = i(s.R * s.S * s.C), channels = Divider(s.C), taps_w = Divider(s.S);
  line_bits = tiles = patch_cells = 0;
  int64_t fewest = kMostInt;
  for (int bits = 2; bits < kTileBits; ++bits) {
    const int64_t across = int64_t{1} << bits, down = kTilePixels / across;
    const int64_t length = ((across - 1) * s.stride_w + (s.S - 1) * s.dilation_w + 1) * s.C;
    const int64_t cells = ((down - 1) * s.stride_h + (s.R - 1) * s.dilation_h + 1) * length;
    const int64_t n = s.N * ceil_div(P, down) * ceil_div(Q, across);
    if (cells > most_cells || n > fewest || (n == fewest && cells >= patch_cells)) continue;
    fewest = n, tiles = i(n), line_bits = bits, patch_cells = i(cells), patch_line = Divider(length);
    tiles_down = Divider(ceil_div(P, down)), tiles_across = Divider(ceil_div(Q, across));
  }
}

template <class T>
__device__ __forceinline__ void to_cell(float& cell, T v) {
  cell = widen(v);
}
template <class T>
  requires(sizeof(T) == 2)
__device__ __forceinline__ void to_cell(T& cell, T v) {
  cell = v;
}

// The tile's patch, by all threads of the block.
template <class Cell, class T>
__device__ __forceinline__ void load_patch(const PatchTiles& f, const Tile& at, const T* x, Cell* patch) {
  const T* const image = x + static_cast<int64_t>(at.n) * f.H * f.line_cells;
#pragma unroll 4
  for (int i = static_cast<int>(threadIdx.x); i < f.patch_cells; i += static_cast<int>(blockDim.x)) {
    int cell = i;
    const int h = at.first_h + f.patch_line.divide(cell);
    cell += at.first_cell;
    const bool inside = static_cast<unsigned>(h) < static_cast<unsigned>(f.H) &&
                        static_cast<unsigned>(cell) < static_cast<unsigned>(f.line_cells);
    const T v = inside ? image[static_cast<int64_t>(h) * f.line_cells + cell] : Narrow<T>::from(0.0f);
    to_cell(patch[i], v);
  }
}

// What a block of these kernels keeps in shared memory: places in the patch, lines of the second operand, the
// patch; and behind it whatever a kernel has of its own.
template <class Cell>
struct PatchMemory {
  unsigned char* shared = dynamic_shared<unsigned char>();
  int* places = reinterpret_cast<int*>(shared);
  Cell *lines, *patch;

  // Where the latter two begin, in bytes.
  __device__ __forceinline__ PatchMemory(size_t lines, size_t patch)
      : lines(reinterpret_cast<Cell*>(shared + lines)), patch(reinterpret_cast<Cell*>(shared + patch)) {}
};

// Zeros behind the patch, as many as it has cells: a place that begins there meets nothing else, whatever is
// added.
template <class Cell>
__device__ __forceinline__ void clear_behind(const PatchTiles& f, Cell* patch) {
  for (int i = static_cast<int>(threadIdx.x); i < f.patch_cells; i += static_cast<int>(blockDim.x)) {
    patch[f.patch_cells + i] = Narrow<Cell>::from(0.0f);
  }
}

}  // namespace fc::cuda
