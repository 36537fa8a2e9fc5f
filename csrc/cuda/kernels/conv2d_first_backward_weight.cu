// conv2d_first_backward_weight.cu — gradients of a first layer's filter and bias, in one pass.
//
// Math       conv2d_backward_weight.cu
// Shapes     as there; one group, C <= 4, K a multiple of 8
// Limits     conv2d_first_forward.cu's: dy takes the place of y. It is read once: a block has all taps
// Grid       x: parts of the tiles of 128 pixels (patch.cuh)   y: 32 or 64 filters
// Block      a warp per 32 taps-and-channels; where they are few, four or two share a tile's pixels
// Shared     per tile a patch and its lines of dy; at the end what the warps add up
// Registers  patch_sums.cuh: 64 sums, and those of the bias for the thread's chunk of dy
// Numerics   float32: a warp's pixels ascending, over all tiles of the part; warps in order; parts:
//            partial_sums.cuh
// Workspace  first_backward_weight_workspace(spec) bytes: dw and dbias per part
// Edges      pixels beyond the image count as zeros in dy, and meet zeros
#include "cuda/device/partial_sums.cuh"
#include "cuda/device/patch_sums.cuh"
#include "cuda/kernels/conv2d_first.h"

namespace fc::cuda {
namespace {

constexpr int kMostThreads = 256;

// What depends on the shape alone, and with it the order of sums.
struct Cut {
  int row_tiles, splits;  // warps: over taps and channels, over the pixels of a tile
  int columns;            // filters of a block
  int tiles_each, parts;
  int64_t part_elements;  // dw, then dbias

  Cut(const Conv2dSpec& s, const PatchTiles& f) {
    constexpr int64_t kBlocks = 512, kDepthPerTile = 48;  // a part's sums stay few beside its pixels
    row_tiles = static_cast<int>(ceil_div(f.depth, kWarpSumRows));
    splits = row_tiles == 1 ? 4 : row_tiles == 2 ? 2 : 1;
    columns = s.K <= 32 ? 32 : 64;
    const int64_t wanted = ceil_div(kBlocks, ceil_div(s.K, columns));
    const int64_t least = ceil_div(f.depth, kDepthPerTile);
    tiles_each = static_cast<int>(std::max(least, ceil_div(f.tiles, wanted)));
    parts = static_cast<int>(ceil_div(f.tiles, tiles_each));
    part_elements = (f.depth + 1) * s.K;
  }
  unsigned threads() const { return static_cast<unsigned>(32 * row_tiles * splits); }
};

template <class Sums>
struct Layout {
  size_t lines, patch, bytes;

  explicit Layout(const PatchTiles& f) {
    constexpr size_t kCell = sizeof(typename Sums::Cell);
    lines = sizeof(int) * kTilePixels;
    patch = lines + kCell * kTilePixels * Sums::kColumns;
    bytes = patch + kCell * 2 * f.patch_cells;
  }
};

// The block's columns of dy at the tile's pixels as lines, and the pixels' places; the sums of a thread's
// chunks are added to `bias`.
template <class Sums, int V, class T>
__device__ __forceinline__ void load_lines(const PatchTiles& f, const Tile& at, const T* dy, int first_column,
                                           typename Sums::Cell* lines, int* places, float (&bias)[V]) {
  constexpr int kPerLine = Sums::kColumns / V;
  const int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
  const int along = thread % kPerLine * V, step = threads / kPerLine;
  for (int pixel = thread; pixel < kTilePixels; pixel += threads) {
    places[pixel] = f.has(at, pixel) ? f.pixel_place(pixel) : f.patch_cells;
  }
#pragma unroll 4
  for (int pixel = thread / kPerLine; pixel < kTilePixels; pixel += step) {
    const bool there = f.has(at, pixel) && first_column + along < f.K;
    const Chunk<T, V> chunk =
        there ? load_chunk<V>(dy + f.result(at, pixel) + first_column + along) : zero_chunk<T, V>();
#pragma unroll
    for (int i = 0; i < V; ++i) bias[i] += widen(chunk.v[i]);
    auto* const to = lines + Sums::line_at(pixel, along);
    if constexpr (sizeof(*to) == sizeof(T)) {
      *reinterpret_cast<Chunk<T, V>*>(to) = chunk;
    } else {
#pragma unroll
      for (int i = 0; i < V; i += 4) {
        store_chunk(to + i,
                    {widen(chunk.v[i]), widen(chunk.v[i + 1]), widen(chunk.v[i + 2]), widen(chunk.v[i + 3])});
      }
    }
  }
}

// The warps that share a tile's pixels add up their sums in order; the last stores them.
template <class Sums>
__device__ __forceinline__ void store_sums(const PatchTiles& f, const Cut& cut, const Sums& sums,
                                           int first_column, float* stage, float* partial) {
  const int warp = static_cast<int>(threadIdx.x) / 32, tile = warp % cut.row_tiles,
            split = warp / cut.row_tiles;
  const auto put = [&](int row_in_tile, int column, const auto& v) {
    constexpr int kCount = sizeof(v) / sizeof(float);
    const int row = tile * kWarpSumRows + row_in_tile, k = first_column + column;
    const bool store = split + 1 == cut.splits && row < f.depth && k < f.K;
    float* const sum = stage + row * Sums::kColumns + column;
    float* const to = partial + static_cast<int64_t>(row) * f.K + k;
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const float total = split == 0 ? v[i] : sum[i] + v[i];
      if (split + 1 < cut.splits) {
        sum[i] = total;
      } else if (store) {
        to[i] = total;
      }
    }
  };
#pragma unroll 1
  for (int turn = 0; turn < cut.splits; ++turn) {
    __syncthreads();
    if (turn != split) continue;
    sums.template each<0>(put);
    sums.template each<1>(put);
  }
}

// The chunks' sums of all threads become those of the columns.
template <int kColumns, int V>
__device__ __forceinline__ void store_bias(const PatchTiles& f, const float (&bias)[V], int first_column,
                                           float* stage, float* partial) {
  const int thread = static_cast<int>(threadIdx.x);
  __syncthreads();
#pragma unroll
  for (int i = 0; i < V; ++i) stage[thread * V + i] = bias[i];
  __syncthreads();
  if (thread >= kColumns || first_column + thread >= f.K) return;
  float sum = 0;
  for (int i = thread; i < static_cast<int>(blockDim.x) * V; i += kColumns) sum += stage[i];
  partial[static_cast<int64_t>(f.depth) * f.K + first_column + thread] = sum;
}

template <class T, class Sums>
__global__ void __launch_bounds__(kMostThreads, Sums::kEightWarps)
    first_weight_kernel(const __grid_constant__ PatchTiles f, Cut cut, Layout<Sums> layout, const T* x,
                        const T* dy, float* partial) {
  constexpr int V = 16 / sizeof(T);
  const PatchMemory<typename Sums::Cell> own(layout.lines, layout.patch);
  const int warp = static_cast<int>(threadIdx.x) / 32,
            first_column = static_cast<int>(blockIdx.y) * Sums::kColumns;
  const int first_row = warp % cut.row_tiles * kWarpSumRows, split = warp / cut.row_tiles;
  const int pixels = kTilePixels / cut.splits;
  clear_behind(f, own.patch);
  Sums sums([&](int row) { return first_row + row < f.depth ? f.tap_place(first_row + row) : 0; });
  float bias[V] = {};
  const int begin = static_cast<int>(blockIdx.x) * cut.tiles_each, end = begin + cut.tiles_each;
#pragma unroll 1
  for (int tile = begin; tile < end && tile < f.tiles; ++tile) {
    const Tile at = f.locate(tile);
    __syncthreads();  // nobody reads the tile before
    load_patch(f, at, x, own.patch);
    load_lines<Sums, V>(f, at, dy, first_column, own.lines, own.places, bias);
    __syncthreads();
    sums.multiply(own.patch, own.places, own.lines, split * pixels, (split + 1) * pixels);
  }
  float* const part = partial + blockIdx.x * cut.part_elements;
  float* const stage = reinterpret_cast<float*>(own.lines);
  store_sums(f, cut, sums, first_column, stage, part);
  store_bias<Sums::kColumns>(f, bias, first_column, stage, part);
}

// dw, and behind it dbias where it is wanted: the parts' sums of each.
__global__ void __launch_bounds__(kBlockRowThreads)
    first_weight_totals_kernel(const float* partial, Cut cut, int64_t n, int64_t weights, float* dw,
                               float* dbias) {
  const PartTotal total(partial, cut.parts, cut.part_elements, n);
  if (!total.here) return;
  (total.at < weights ? dw + total.at : dbias + (total.at - weights))[0] = total.sum;
}

template <class Sums, class T>
void run(const PatchTiles& f, const Cut& cut, const T* x, const T* dy, float* partial,
         const Context& context) {
  const Layout<Sums> layout(f);
  launch(first_weight_kernel<T, Sums>,
         dim3(static_cast<unsigned>(cut.parts), static_cast<unsigned>(ceil_div(f.K, Sums::kColumns))),
         dim3(cut.threads()), layout.bytes, context, f, cut, layout, x, dy, partial);
}

}  // namespace

size_t first_backward_weight_workspace(const Conv2dSpec& s) {
  const Cut cut(s, PatchTiles(s, kFirstMostCells));
  return sizeof(float) * cut.parts * cut.part_elements;
}

template <class T>
void first_backward_weight(const Conv2dSpec& s, bool tensor_cores, const T* x, const T* dy, float* dw,
                           float* dbias, const Context& context) {
  const PatchTiles f(s, kFirstMostCells);
  const Cut cut(s, f);
  auto* const partial = static_cast<float*>(context.workspace);
  if (tensor_cores) {
    cut.columns == 32 ? run<TensorPatchSums<T, 32>>(f, cut, x, dy, partial, context)
                      : run<TensorPatchSums<T, 64>>(f, cut, x, dy, partial, context);
  } else {
    cut.columns == 32 ? run<SimtPatchSums<32>>(f, cut, x, dy, partial, context)
                      : run<SimtPatchSums<64>>(f, cut, x, dy, partial, context);
  }
  const int64_t weights = f.depth * s.K, n = dbias != nullptr ? cut.part_elements : weights;
  launch(first_weight_totals_kernel, dim3(static_cast<unsigned>(ceil_div(n, kBlockChunks))),
         dim3(kBlockRowThreads), 0, context, static_cast<const float*>(partial), cut, n, weights, dw, dbias);
}

#define FC_INSTANTIATE(T)                                                                          \
  template void first_backward_weight(const Conv2dSpec&, bool, const T*, const T*, float*, float*, \
                                      const Context&);
FC_INSTANTIATE(float)
FC_INSTANTIATE(half)
FC_INSTANTIATE(bfloat16)
#undef FC_INSTANTIATE

}  // namespace fc::cuda
