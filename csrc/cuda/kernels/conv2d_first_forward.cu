// conv2d_first_forward.cu — 2-D cross-correlation of images with few channels: a network's first layer.
//
// Math       conv2d_forward.cu
// Shapes     as there; one group, C <= 4, K a multiple of 8
// Limits     microseconds of an H200: 4.8 TB/s; 67 TFLOP/s of float32, 165 as 3xTF32, 989 of 16 bits
//            N,H,W,C -> K, window            memory, float32 / 16 bits   arithmetic, float32 / 16 bits
//            128,28,28,1 -> 32, 3x3          2.4 / 1.2                   0.8 / 0.1
//            128,32,32,3 -> 32, 3x3          3.8 / 1.9                   3.4 / 0.2
//            4,224,224,3 -> 64, 7x7 s2       3.2 / 1.6                   14 (3xTF32: 5.7) / 1.0
//            so cells and filter come from shared memory, and y's stores are what is to take long
// Grid       x: blocks that take every gridDim.x-th tile of 128 pixels (patch.cuh)   y: 32 or 64 filters
// Block      128 threads: a warp has 32 pixels of the tile
// Shared     the filter, once per block; a patch per tile; a stage per warp, through which sums become chunks
//            of 16 bytes of y
// Registers  patch_sums.cuh: 64 sums
// Numerics   CUDA cores: float32 fma, ascending in (r,s,c); tensor cores: tensor_tile.cuh; then epilogue.cuh
//            first_forward_pooled: conv2d_pool.cu's y and index
// Edges      cells outside the image are 0; pixels and filters beyond the last are not stored
#include "cuda/device/patch_sums.cuh"
#include "cuda/device/window_store.cuh"
#include "cuda/kernels/conv2d_first.h"

namespace fc::cuda {
namespace {

constexpr int kThreads = kTilePixels;
constexpr int kStagePitch = 8;  // floats beyond the columns: rows of a stage meet other banks

template <class Sums>
struct Layout {
  int lines, places;  // of the depth, rounded up to the kStep that sums take
  size_t patch, filter, stage, bytes;

  explicit Layout(const PatchTiles& f)
      : lines(static_cast<int>(ceil_div(f.depth, Sums::kStep) * Sums::kStep)),
        places(ceil_div(lines, 4) * 4) {
    constexpr size_t kCell = sizeof(typename Sums::Cell);
    const auto aligned = [](size_t n) { return (n + 127) / 128 * 128; };
    filter = aligned(sizeof(int) * places);
    patch = filter + aligned(kCell * lines * Sums::kColumns);
    stage = patch + aligned(kCell * f.patch_cells * (Sums::kStep > 1 ? 2 : 1));
    bytes = stage + sizeof(float) * kThreads / 32 * stage_floats();
  }
  static constexpr size_t stage_floats() {
    return kWarpSumRows / Sums::kSlices * (Sums::kColumns + kStagePitch);
  }
};

// The filter's columns [first, first + kColumns), those beyond the last and lines beyond the depth as zeros;
// and the places of the depth, those beyond it behind the patch.
template <class Sums, class T>
__device__ __forceinline__ void load_filter(const PatchTiles& f, const T* w, int first, int lines,
                                            typename Sums::Cell* filter, int* places) {
  for (int i = static_cast<int>(threadIdx.x); i < lines * Sums::kColumns; i += kThreads) {
    const int line = i / Sums::kColumns, column = i % Sums::kColumns;
    const bool there = line < f.depth && first + column < f.K;
    const T v = there ? w[static_cast<int64_t>(line) * f.K + first + column] : Narrow<T>::from(0.0f);
    to_cell(filter[Sums::line_at(line, column)], v);
  }
  for (int i = static_cast<int>(threadIdx.x); i < lines; i += kThreads) {
    places[i] = i < f.depth ? f.tap_place(i) : f.patch_cells;
  }
}

// Where results go; of windows the largest, and which cell won.
template <class T>
struct Results {
  T* y;
  uint8_t* index;
};

// A warp's sums of half of its pixels, through its stage and the epilogue to y.
template <int kSlice, class T, class Sums>
__device__ __forceinline__ void store_slice(const PatchTiles& f, const Tile& at, const Sums& sums,
                                            float* stage, const Epilogue<T>& epilogue, int first_column,
                                            const Results<T>& to) {
  constexpr int V = 16 / sizeof(T), kPitch = Sums::kColumns + kStagePitch, kPerRow = Sums::kColumns / V;
  constexpr int kRows = kWarpSumRows / Sums::kSlices;
  const int first_pixel = static_cast<int>(threadIdx.x) / 32 * kWarpSumRows + kSlice * kRows;
  __syncwarp();
  sums.template each<kSlice>([&](int row, int column, const auto& v) {
    store_chunk(stage + (row - kSlice * kRows) * kPitch + column, v);
  });
  __syncwarp();
  const int together = f.windows ? 4 : 1;  // rows
#pragma unroll 1
  for (int i = warp_lane(); i < kRows / together * kPerRow; i += 32) {
    const int row = i / kPerRow * together, column = i % kPerRow * V, of_all = first_column + column;
    if (!f.has(at, first_pixel + row) || of_all >= f.K) continue;
    const float* const staged = stage + row * kPitch + column;
    if (f.windows) {
      const int64_t offset = f.window_result(at, first_pixel + row) + of_all;
      store_window<V>(epilogue, of_all, offset, to.y, to.index,
                      [&](unsigned cell, float (&v)[V]) { load_values(staged + cell * kPitch, true, v); });
      continue;
    }
    const int64_t offset = f.result(at, first_pixel + row) + of_all;
    float v[V];
    load_values(staged, true, v);
    epilogue.template apply<V>(v, of_all, offset);
    store_chunk(to.y + offset, v);
  }
}

template <class T, class Sums>
__global__ void __launch_bounds__(kThreads, 4)
    first_forward_kernel(const __grid_constant__ PatchTiles f, Layout<Sums> layout, const T* x, const T* w,
                         const __grid_constant__ Epilogue<T> epilogue, Results<T> to) {
  const PatchMemory<typename Sums::Cell> own(layout.filter, layout.patch);
  const int warp = static_cast<int>(threadIdx.x) / 32,
            first_column = static_cast<int>(blockIdx.y) * Sums::kColumns;
  float* const stage =
      reinterpret_cast<float*>(own.shared + layout.stage) + warp * Layout<Sums>::stage_floats();
  load_filter<Sums>(f, w, first_column, layout.lines, own.lines, own.places);
  if constexpr (Sums::kStep > 1) clear_behind(f, own.patch);
#pragma unroll 1
  for (int tile = static_cast<int>(blockIdx.x); tile < f.tiles; tile += static_cast<int>(gridDim.x)) {
    const Tile at = f.locate(tile);
    __syncthreads();  // nobody reads the patch of the tile before
    load_patch(f, at, x, own.patch);
    __syncthreads();
    Sums sums([&](int row) { return f.pixel_place(warp * kWarpSumRows + row); });
    sums.multiply(own.patch, own.places, own.lines, 0, layout.lines);
    store_slice<0>(f, at, sums, stage, epilogue, first_column, to);
    store_slice<1>(f, at, sums, stage, epilogue, first_column, to);
  }
}

template <class Sums, class T>
void run(const PatchTiles& f, const T* x, const T* w, const Epilogue<T>& epilogue, const Results<T>& to,
         const Context& context) {
  constexpr int64_t kBlocks = 8 * 132;  // what runs at once; a tile's sums are the same in any block
  const Layout<Sums> layout(f);
  launch(first_forward_kernel<T, Sums>,
         dim3(static_cast<unsigned>(std::min<int64_t>(f.tiles, kBlocks)),
              static_cast<unsigned>(ceil_div(f.K, Sums::kColumns))),
         dim3(kThreads), layout.bytes, context, f, layout, x, w, epilogue, to);
}

// Whether 32 filters a block are better than 64: there are no more, or deep ones leave no room for more.
template <class Cell>
bool takes_few_filters(const PatchTiles& f) {
  constexpr int64_t kMostBytes = 400;
  return f.K <= 32 || static_cast<int64_t>(sizeof(Cell)) * f.depth > kMostBytes;
}

template <class T>
void run_tiles(const PatchTiles& f, bool tensor_cores, const T* x, const T* w, const Epilogue<T>& epilogue,
               const Results<T>& to, const Context& context) {
  if (tensor_cores) {
    takes_few_filters<T>(f) ? run<TensorPatchSums<T, 32>>(f, x, w, epilogue, to, context)
                            : run<TensorPatchSums<T, 64>>(f, x, w, epilogue, to, context);
  } else {
    takes_few_filters<float>(f) ? run<SimtPatchSums<32>>(f, x, w, epilogue, to, context)
                                : run<SimtPatchSums<64>>(f, x, w, epilogue, to, context);
  }
}

}  // namespace

template <class T>
void first_forward(const Conv2dSpec& s, bool tensor_cores, const T* x, const T* w,
                   const Epilogue<T>& epilogue, T* y, const Context& context) {
  run_tiles<T>(PatchTiles(s, kFirstMostCells), tensor_cores, x, w, epilogue, {y, nullptr}, context);
}

template <class T>
void first_forward_pooled(const Conv2dSpec& s, bool tensor_cores, const T* x, const T* w,
                          const Epilogue<T>& epilogue, T* y, uint8_t* index, const Context& context) {
  run_tiles<T>(PatchTiles(s, kFirstMostCells, true), tensor_cores, x, w, epilogue, {y, index}, context);
}

#define FC_INSTANTIATE(T)                                                                                 \
  template void first_forward(const Conv2dSpec&, bool, const T*, const T*, const Epilogue<T>&, T*,        \
                              const Context&);                                                            \
  template void first_forward_pooled(const Conv2dSpec&, bool, const T*, const T*, const Epilogue<T>&, T*, \
                                     uint8_t*, const Context&);
FC_INSTANTIATE(float)
FC_INSTANTIATE(half)
FC_INSTANTIATE(bfloat16)
#undef FC_INSTANTIATE

}  // namespace fc::cuda
