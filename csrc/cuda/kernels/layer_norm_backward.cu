// layer_norm_backward.cu — gradients of layer normalisation.
//
// Math       x̂ = (x − mean)·rstd      g = dy·gamma      dbeta = Σ_r dy      dgamma = Σ_r dy·x̂
//            dx = rstd·(g − (1/n) Σ_c g − x̂·(1/n) Σ_c g·x̂)      not centred: without the first sum
// Shapes     dy, x, dx (rows,width)   gamma (null means 1), dgamma, dbeta (width)   row_mean, row_rstd
//            (rows); all but dy, x and dx are float32 for every T
// Grid/Block rows.cuh. Rows of up to 1024 packs: a group takes one row after the other, writes its dx and
//            sums its columns in registers, so dy and x are read once; longer rows: dx and column sums apart
// Registers  dy and x of the row and two sums per column, up to 4 packs each
// Shared     the column sums that the groups of a block merge
// Numerics   row sums in float32; columns: column_sums.cuh
// Workspace  two floats per column and block
// Edges      rows = 0: dgamma and dbeta are 0
// Source     Ba, Kiros, Hinton, "Layer Normalization", 2016
#include "core/norm_spec.h"
#include "cuda/device/column_sums.cuh"
#include "cuda/device/rows.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

template <class T>
struct Operands {
  const T *dy, *x;
  const float *gamma, *row_mean, *row_rstd;
  T* dx;
  bool centred;
};

constexpr int64_t kRowBlocks = 512;  // enough to fill a large device

// Blocks that share the rows: each group sums at most 256 rows in float32.
int64_t row_blocks(const RowShape& shape) {
  const int64_t most = std::max<int64_t>(ceil_div(shape.rows, shape.groups), 1);
  return std::max(std::min(most, kRowBlocks), ceil_div(shape.rows, shape.groups * int64_t{256}));
}

// Does the row and leaves in sums what its columns give to dbeta and dgamma.
template <bool kInWarp, class T, int kWide, int kKept, class Column>
__device__ __forceinline__ void row_gradient(const RowShape& shape, const Operands<T>& o, int64_t row,
                                             const Column& column) {
  const bool active = row < shape.rows;
  const int64_t begin = active ? row * shape.width : 0, items = active ? shape.items : 0;
  const RowPart<T, kWide, kKept> dy(o.dy + begin, items), x(o.x + begin, items);
  const float mean = active ? o.row_mean[row] : 0.0f, rstd = active ? o.row_rstd[row] : 0.0f;
  const float count_inverse = 1.0f / static_cast<float>(shape.width);
  const auto scaled = [&](int64_t c, const Items<T, kWide>& g, float (&out)[kWide]) {
    float scale[kWide];
    if (o.gamma != nullptr) load_values(o.gamma + c, true, scale);
#pragma unroll
    for (int j = 0; j < kWide; ++j) {
      out[j] = o.gamma != nullptr ? widen(g.v[j]) * scale[j] : widen(g.v[j]);
    }
  };
  float total = 0, along_x = 0;
  for_row_items(
      [&](int, int64_t c, const Items<T, kWide>& g, const Items<T, kWide>& v) {
        float gs[kWide];
        scaled(c, g, gs);
#pragma unroll
        for (int j = 0; j < kWide; ++j) {
          const float normal = (widen(v.v[j]) - mean) * rstd;
          total += gs[j];
          along_x = fmaf(gs[j], normal, along_x);
        }
      },
      dy, x);
  const float mean_g = o.centred ? group_sum<kInWarp>(total) * count_inverse : 0.0f;
  const float slope = -group_sum<kInWarp>(along_x) * count_inverse;
  for_row_items(
      [&](int i, int64_t c, const Items<T, kWide>& g, const Items<T, kWide>& v) {
        float gs[kWide];
        scaled(c, g, gs);
        Items<T, kWide> result;
#pragma unroll
        for (int j = 0; j < kWide; ++j) {
          const float normal = (widen(v.v[j]) - mean) * rstd;
          result.v[j] = Narrow<T>::from(fmaf(normal, slope, gs[j] - mean_g) * rstd);
          column(i, j, widen(g.v[j]), normal);
        }
        store_items(o.dx + begin + c, result);
      },
      dy, x);
}

// One pass: dx, and the block's column sums to partial[block][2][width].
template <class T, int kWide, int kKept, bool kInWarp>
__global__ void __launch_bounds__(kRowThreads, kKept* kWide < 32 ? 2 : 1)
    layer_norm_gradient_kernel(RowShape shape, Operands<T> o, float* partial) {
  float sums[2 * kKept * kWide] = {};
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.y; first < shape.rows;
       first += static_cast<int64_t>(gridDim.x) * blockDim.y) {
    row_gradient<kInWarp, T, kWide, kKept>(shape, o, first + threadIdx.y,
                                           [&](int i, int j, float g, float normal) {
                                             float& dbeta = sums[i * kWide + j];
                                             float& dgamma = sums[(kKept + i) * kWide + j];
                                             dbeta += g;
                                             dgamma = fmaf(g, normal, dgamma);
                                           });
  }
  merge_block_rows(sums, [](auto& own, const auto& other, int) {
#pragma unroll
    for (int i = 0; i < 2 * kKept * kWide; ++i) own[i] += other[i];
  });
  if (threadIdx.y != 0) return;
  float* to = partial + static_cast<int64_t>(blockIdx.x) * 2 * shape.width;
#pragma unroll
  for (int i = 0; i < kKept; ++i) {
    const int64_t item = threadIdx.x + static_cast<int64_t>(i) * blockDim.x;
    if (item >= shape.items) break;
#pragma unroll
    for (int j = 0; j < kWide; ++j) {
      to[item * kWide + j] = sums[i * kWide + j];
      to[shape.width + item * kWide + j] = sums[(kKept + i) * kWide + j];
    }
  }
}

// dx alone, of rows that are too long for registers.
template <class T, int kWide>
__global__ void __launch_bounds__(kRowThreads) long_row_gradient_kernel(RowShape shape, Operands<T> o) {
  row_gradient<false, T, kWide, 0>(shape, o, blockIdx.x, [](int, int, float, float) {});
}

// Σ dy and Σ dy·x̂ of long rows; a division per pack finds the row.
template <class T, int kWide_>
struct LongRowTerms {
  static constexpr int kWide = kWide_;
  struct Loaded {
    Items<T, kWide> dy, x;
    float mean[2], rstd[2];  // of the row and of the next one, where the items go over to it
    int next;
  };
  struct PerColumn {};
  Operands<T> o;
  int64_t width;

  __device__ PerColumn columns(const ColumnIds<kWide>&) const { return {}; }
  __device__ Loaded load(int64_t at, int count) const {
    Loaded loaded = {};
    loaded.dy = load_first<kWide>(o.dy + at, count);
    loaded.x = load_first<kWide>(o.x + at, count);
    const int64_t row = at / width, left = (row + 1) * width - at;
    loaded.next = left < count ? static_cast<int>(left) : kWide;
#pragma unroll
    for (int i = 0; i < (kWide > 1 ? 2 : 1); ++i) {
      const int64_t of = i == 0 || loaded.next == kWide ? row : row + 1;
      loaded.mean[i] = o.row_mean[of];
      loaded.rstd[i] = o.row_rstd[of];
    }
    return loaded;
  }
  __device__ void add(const Loaded& loaded, const PerColumn&, int64_t, int count,
                      float (&sums)[2][kWide]) const {
#pragma unroll
    for (int j = 0; j < kWide; ++j) {
      if (j >= count) break;
      const float g = widen(loaded.dy.v[j]);
      const bool next = j >= loaded.next;
      const float centred = widen(loaded.x.v[j]) - (next ? loaded.mean[1] : loaded.mean[0]);
      const float normal = centred * (next ? loaded.rstd[1] : loaded.rstd[0]);
      sums[0][j] += g;
      sums[1][j] = fmaf(g, normal, sums[1][j]);
    }
  }
};

struct Finish {
  float *dgamma, *dbeta;
  __device__ void operator()(int64_t c, const double (&sums)[2]) const {
    dbeta[c] = static_cast<float>(sums[0]);
    dgamma[c] = static_cast<float>(sums[1]);
  }
};

template <class T>
size_t layer_norm_backward_workspace(const NormSpec& spec, int) {
  size_t bytes = 0;
  for (const int wide : {1, Pack<T>::kSize}) {
    const RowShape shape(spec.rows, spec.width, wide);
    const size_t blocks = static_cast<size_t>(row_blocks(shape)) * 2 * static_cast<size_t>(spec.width);
    bytes = std::max(bytes,
                     shape.fits() ? blocks * sizeof(float) : column_sums_bytes<T, 2>(spec.rows, spec.width));
  }
  return bytes;
}

template <int kWide, class T>
void run_wide(const NormSpec& spec, const Operands<T>& o, float* dgamma, float* dbeta,
              const Context& context) {
  const RowShape shape(spec.rows, spec.width, kWide);
  float* partial = static_cast<float*>(context.workspace);
  const Finish finish{dgamma, dbeta};
  for_row_shape(shape, [&](auto kept, auto in_warp) {
    constexpr int kKept = decltype(kept)::value;
    if constexpr (kKept > 0) {
      const int64_t blocks = row_blocks(shape);
      launch(layer_norm_gradient_kernel<T, kWide, kKept, decltype(in_warp)::value>,
             dim3(static_cast<unsigned>(blocks)), shape.block(), 0, context, shape, o, partial);
      column_totals<2>(context, Partials{partial, blocks, spec.width, spec.width, 0}, finish);
    } else {
      if (spec.rows > 0) {
        launch(long_row_gradient_kernel<T, kWide>, dim3(static_cast<unsigned>(spec.rows)), shape.block(), 0,
               context, shape, o);
      }
      column_sums<2>(context, spec.rows, spec.width, LongRowTerms<T, kWide>{o, spec.width}, partial, finish);
    }
  });
}

template <class T>
void layer_norm_backward(const NormSpec& spec, const T* dy, const T* x, const float* gamma,
                         const float* row_mean, const float* row_rstd, T* dx, float* dgamma, float* dbeta,
                         const Context& context) {
  constexpr int kSize = Pack<T>::kSize;
  const bool packs = spec.width % kSize == 0 && aligned_for_packs(dy, x, gamma, dx);
  const auto run = packs ? run_wide<kSize, T> : run_wide<1, T>;
  run(spec, Operands<T>{dy, x, gamma, row_mean, row_rstd, dx, spec.centred}, dgamma, dbeta, context);
}

}  // namespace

void add_layer_norm_backward(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, layer_norm_backward);
}

}  // namespace fc::cuda
