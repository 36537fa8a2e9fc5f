// lamb.cu — one update of a weight by its gradient, as long as the weight is: Keras 3's Lamb.
//
// Math       w = w − w·weight_decay·η      m = m + (g − m)(1−β₁)      v = v + (g² − v)(1−β₂)
//            u = m/(1−β₁ᵗ)/(√(v/(1−β₂ᵗ)) + ε)      w = w − η·‖w‖/‖u‖·u; the ratio is 1 where a norm is 0
// Hyper      double[8], read on the device: {η, β₁, β₂, ε, weight_decay, t}, t = step, counted from 1; [7]:
//            not 0 where the step only gathers gradients, and updates nothing
// Shapes     everything else (n), float32: one whole variable, whose norms count
// Grid/Block state, then two sums, then the weight: update.cuh and row_sums.cuh; u is computed where needed
// Numerics   as csrc/cpu/kernels/lamb.cpp, but norms are summed in float64. What vanishes becomes 0:
//            update.cuh
// Workspace  the coefficients of u, both sums, then that of row_sums.cuh
// Edges      a refused step writes nothing
// Source     You et al., 2020, Large batch optimization for deep learning; Keras 3,
//            keras/src/optimizers/lamb.py
#include "core/elementwise_spec.h"
#include "cuda/device/row_sums.cuh"
#include "cuda/device/update.cuh"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

struct Direction {
  Rounded bias_1, bias_2, epsilon;
  __device__ __forceinline__ Rounded operator()(Rounded m, Rounded v) const {
    return m / bias_1 / (square_root(v / bias_2) + epsilon);
  }
};

struct Scratch {
  double of_w, of_u;  // sums of squares
  Direction direction;
};

struct Moments {
  Rounded rest_1, rest_2, decay;
  __device__ void prepare(const double* hyper) {
    rest_1 = rounded(1 - hyper[1]);
    rest_2 = rounded(1 - hyper[2]);
    decay = rounded(hyper[4] * hyper[0]);
  }
  __device__ void operator()(Rounded g, Rounded (&s)[3]) const {
    s[1] = settled(s[1] + (g - s[1]) * rest_1);
    s[2] = settled(s[2] + (squared(g) - s[2]) * rest_2);
    s[0] = s[0] - s[0] * decay;
  }
};

__global__ void direction_kernel(const double* hyper, Scratch* scratch) {
  const double step = hyper[5];
  scratch->direction = {rounded(1 - pow(hyper[1], step)), rounded(1 - pow(hyper[2], step)),
                        rounded(hyper[3])};
}

struct WeightSquares {
  const float* w;
  int64_t n;
  bool packed;
  template <int kSize>
  __device__ __forceinline__ double sum(int64_t, int64_t i) const {
    float v[kSize];
    load_present(w, i, n, packed, v);
    double total = 0;
#pragma unroll
    for (int j = 0; j < kSize; ++j) total += static_cast<double>(v[j]) * static_cast<double>(v[j]);
    return total;
  }
};

struct DirectionSquares {
  const float *m, *v;
  const Scratch* scratch;
  int64_t n;
  bool packed;
  template <int kSize>
  __device__ __forceinline__ double sum(int64_t, int64_t i) const {
    const Direction direction = scratch->direction;
    float first[kSize], second[kSize];
    load_present(m, i, n, packed, first);
    load_present(v, i, n, packed, second);
    double total = 0;
#pragma unroll
    for (int j = 0; j < kSize; ++j) {
      const auto u = static_cast<double>(direction(first[j], second[j]).value);
      total += i + j < n ? u * u : 0;
    }
    return total;
  }
};

__global__ void __launch_bounds__(kUpdateThreads)
    lamb_kernel(const double* hyper, const Scratch* scratch, float* w, const float* m, const float* v,
                int64_t n, bool packed, const int32_t* proceed) {
  if ((proceed != nullptr && *proceed == 0) || hyper[kHolds] != 0) return;
  constexpr int kSize = Pack<float>::kSize;
  FC_SHARED(Rounded, shared);
  const int64_t first = global_thread() * kSize;
  float weights[kSize], means[kSize], squares[kSize];
  load_present(w, first, n, packed, weights);
  load_present(m, first, n, packed, means);
  load_present(v, first, n, packed, squares);
  if (threadIdx.x == 0) {
    const bool both = scratch->of_w > 0 && scratch->of_u > 0;
    shared = rounded((both ? sqrt(scratch->of_w) / sqrt(scratch->of_u) : 1.0) * hyper[0]);
  }
  __syncthreads();
  const Direction direction = scratch->direction;
  const Rounded rate = shared;
#pragma unroll
  for (int j = 0; j < kSize; ++j) {
    weights[j] = (Rounded(weights[j]) - rate * direction(means[j], squares[j])).value;
  }
  store_present(w, first, n, packed, weights);
}

constexpr size_t kScratch = 64;  // bytes before the workspace of the sums
static_assert(sizeof(Scratch) <= kScratch);

size_t lamb_update_workspace(const VectorSpec& s, int) {
  return kScratch + RowParts(1, s.n).workspace();
}

void lamb_update(const VectorSpec& s, const float* gradient, const double* hyper, float* w, float* m,
                 float* v, const Context& context) {
  if (s.n == 0) return;
  auto* scratch = static_cast<Scratch*>(context.workspace);
  void* sums = static_cast<char*>(context.workspace) + kScratch;
  constexpr int kSize = Pack<float>::kSize;
  const bool packed = aligned_for_packs(w, m, v);
  update<Moments>(context, s.n, gradient, hyper, w, m, v);
  launch(direction_kernel, dim3(1), dim3(1), 0, context, hyper, scratch);
  sum_rows<kSize>(context, 1, s.n, WeightSquares{w, s.n, packed}, &scratch->of_w, sums);
  sum_rows<kSize>(context, 1, s.n, DirectionSquares{m, v, scratch, s.n, packed}, &scratch->of_u, sums);
  const int64_t blocks = ceil_div(ceil_div(s.n, kSize), kUpdateThreads);
  launch(lamb_kernel, dim3(static_cast<unsigned>(blocks)), dim3(kUpdateThreads), 0, context, hyper,
         static_cast<const Scratch*>(scratch), w, static_cast<const float*>(m), static_cast<const float*>(v),
         s.n, packed, context.proceed);
}

}  // namespace

void add_lamb(KernelTable& table) {
  table.at("lamb_update", DType::f32) = kernel<&lamb_update, &lamb_update_workspace>();
}

}  // namespace fc::cuda
