// operand.cuh — where a tile of a product's operand comes from in memory, chunk by chunk.
//
// An operand is kAlongDepth when its neighbours in memory are neighbours in depth: its tile is kExtent lines
// of kDepth elements; else it is kDepth lines of kExtent elements. seek(depth) moves it to a tile; at(j) is
// where the thread's j-th chunk lies, or null where it counts as zeros, and anywhere() some address that is
// always valid. What does not change from tile to
// tile is computed once.
#pragma once

#include "cuda/device/chunk.cuh"
#include "cuda/device/igemm.cuh"

namespace fc::cuda {

// Extents of a tile along one operand's rows (or columns) and in depth, elements per chunk, threads.
template <int kExtent_, int kDepth_, int V_, int kThreads_>
struct TileOf {
  static constexpr int kExtent = kExtent_, kDepth = kDepth_, V = V_, kThreads = kThreads_;
};

// A of forward and backward_input: a row is a pixel, the depth runs over taps and channels. Pixels that are
// many, since chunks are single elements, are located anew each time: there are no registers to keep them in.
// kWindows: pixels may come window by window.
template <class T, class Tile, bool kWindows>
struct PixelRows {
  static constexpr bool kAlongDepth = true;
  static constexpr int V = Tile::V;
  using Layout = ChunkLayout<Tile::kExtent, Tile::kDepth, V, Tile::kThreads>;
  static constexpr bool kKeep = Layout::kChunks <= 4;

  const T* images;
  const Gather& gather;
  int first;
  Pixel pixel[kKeep ? Layout::kChunks : 1];
  Tap tap;

  __device__ __forceinline__ PixelRows(const IgemmOperands<T>& p, const Gather& g, int group, int first)
      : images(p.a + group * p.a_group), gather(g), first(first) {
    if constexpr (kKeep) {
#pragma unroll
      for (int j = 0; j < Layout::kChunks; ++j) pixel[j] = locate(j);
    }
  }
  __device__ __forceinline__ void seek(int depth) { tap = locate_tap(gather, depth + Layout::along()); }
  __device__ __forceinline__ const T* at(int j) const {
    const int64_t cell = locate_cell(gather, kKeep ? pixel[j] : locate(j), tap);
    return cell < 0 ? nullptr : images + cell;
  }
  __device__ __forceinline__ const T* anywhere() const { return images; }

 private:
  __device__ __forceinline__ Pixel locate(int j) const {
    const int row = first + Layout::line(j);
    return kWindows ? locate_window_pixel(gather, row) : locate_pixel(gather, row);
  }
};

// A of backward_weight: a row is a tap and a channel, the depth runs over pixels up to `end`.
template <class T, class Tile>
struct TapRows {
  static constexpr bool kAlongDepth = false;
  static constexpr int V = Tile::V;
  using Layout = ChunkLayout<Tile::kDepth, Tile::kExtent, V, Tile::kThreads>;

  const T* images;
  const Gather& gather;
  Tap tap;
  int depth, end;

  __device__ __forceinline__ TapRows(const IgemmOperands<T>& p, const Gather& g, int group, int first,
                                     int end)
      : images(p.a + group * p.a_group), gather(g), tap(locate_tap(g, first + Layout::along())), end(end) {}
  __device__ __forceinline__ void seek(int to) { depth = to; }
  __device__ __forceinline__ const T* at(int j) const {
    const int row = depth + Layout::line(j);
    if (row >= end) return nullptr;
    const int64_t cell = locate_cell(gather, locate_pixel(gather, row), tap);
    return cell < 0 ? nullptr : images + cell;
  }
  __device__ __forceinline__ const T* anywhere() const { return images; }
};

// B of forward (w) and of backward_weight (dy): a matrix with lines of columns, as deep as `end`.
template <class T, class Tile>
struct MatrixLines {
  static constexpr bool kAlongDepth = false;
  static constexpr int V = Tile::V;
  using Layout = ChunkLayout<Tile::kDepth, Tile::kExtent, V, Tile::kThreads>;

  const T* matrix;  // from the thread's column on
  bool has_column;
  int64_t line_elements;
  int depth, end;

  __device__ __forceinline__ MatrixLines(const IgemmOperands<T>& p, int group, int first, int end)
      : matrix(p.b), has_column(first + Layout::along() < p.columns), line_elements(p.b_line), end(end) {
    if (has_column) matrix += group * p.b_group + first + Layout::along();
  }
  __device__ __forceinline__ void seek(int to) { depth = to; }
  __device__ __forceinline__ const T* at(int j) const {
    const int line = depth + Layout::line(j);
    return has_column && line < end ? matrix + line * line_elements : nullptr;
  }
  __device__ __forceinline__ const T* anywhere() const { return matrix; }
};

// B of backward_input: a column is a channel of w, the depth runs over the phase's taps and the filters.
template <class T, class Tile>
struct FilterColumns {
  static constexpr bool kAlongDepth = true;
  static constexpr int V = Tile::V;
  using Layout = ChunkLayout<Tile::kExtent, Tile::kDepth, V, Tile::kThreads>;

  const T* filter;
  const Gather& gather;
  int64_t line_elements;
  int first, columns;
  int64_t offset;  // < 0: beyond the depth

  __device__ __forceinline__ FilterColumns(const IgemmOperands<T>& p, const Gather& g, int group, int first)
      : filter(p.b + group * p.b_group + g.filter_first),
        gather(g),
        line_elements(p.b_line),
        first(first),
        columns(p.columns) {}
  __device__ __forceinline__ void seek(int depth) {
    const Tap tap = locate_tap(gather, depth + Layout::along());
    offset =
        tap.channel < 0 ? -1 : tap.row * gather.filter_tap_h + tap.column * gather.filter_tap_w + tap.channel;
  }
  __device__ __forceinline__ const T* at(int j) const {
    const int column = first + Layout::line(j);
    return offset >= 0 && column < columns ? filter + offset + column * line_elements : nullptr;
  }
  __device__ __forceinline__ const T* anywhere() const { return filter; }
};

}  // namespace fc::cuda
