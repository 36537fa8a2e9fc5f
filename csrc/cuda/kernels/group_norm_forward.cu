// group_norm_forward.cu — every group of channels of a sample is centred and scaled by its own moments.
//
// Math       mean[n,g] and var[n,g] over the pixels of sample n and the channels of group g;
//            y = (x − mean)·gamma[c]/√(var + epsilon) + beta[c]
// Shapes     x, y (N,M,C)   gamma, beta (C), null mean 1, 0   moments (N,groups,2): mean, 1/√(var + epsilon)
// Grid/Block matrix_sums.cuh for the sums, map.cuh for y; a thread per group between them
// Numerics   float32, sums as in matrix_sums.cuh; means are two float32, so that a large one does not cancel
// Workspace  group_norm.cuh
// Source     Wu, He, "Group Normalization", 2018
#include "cuda/kernels/group_norm.cuh"

namespace fc::cuda {
namespace {

// The sum of x, or with a centre that of (x − centre)²; the centre is high + low.
template <class T>
struct SampleTerms {
  using Sum = float;
  GroupNormShape shape;
  const T* x;
  const float *high, *low;
  bool packed;

  template <int size>
  __device__ __forceinline__ void add(int64_t n, int64_t r, int64_t c, Sum (&sums)[size]) const {
    float v[size];
    load_values(x + (n * shape.rows + r) * shape.channels + c, packed, v);
#pragma unroll
    for (int j = 0; j < size; ++j) {
      const int64_t cell = n * shape.channels + c + j;
      const float d = high == nullptr ? 0.0f : (v[j] - high[cell]) - low[cell];
      sums[j] = high == nullptr ? sums[j] + v[j] : fmaf(d, d, sums[j]);
    }
  }
};

struct Means {
  GroupNormShape shape;
  double share;
  const double* sums;
  double* moments;
  float *high, *low;

  __device__ void operator()(int64_t i) const {
    const int64_t first = i * shape.each;  // groups of a sample lie side by side, and so do samples
    double total = 0;
    for (int64_t c = first; c < first + shape.each; ++c) total += sums[c];
    const double mean = total * share;
    moments[2 * i] = mean;
    for (int64_t c = first; c < first + shape.each; ++c) {
      high[c] = static_cast<float>(mean);
      low[c] = static_cast<float>(mean - static_cast<double>(high[c]));
    }
  }
};

struct Scales {
  GroupNormShape shape;
  double share, epsilon;
  const double* sums;
  const float* gamma;
  double* moments;
  float* slope;

  __device__ void operator()(int64_t i) const {
    const int64_t first = i * shape.each;
    double squares = 0;
    for (int64_t c = first; c < first + shape.each; ++c) squares += sums[c];
    const double rstd = 1 / sqrt(squares * share + epsilon);
    moments[2 * i + 1] = rstd;
    for (int64_t c = first; c < first + shape.each; ++c) {
      const double scale = gamma != nullptr ? static_cast<double>(gamma[c % shape.channels]) : 1.0;
      slope[c] = static_cast<float>(rstd * scale);
    }
  }
};

struct Normalise {
  GroupNormShape shape;
  const float *high, *low, *slope, *beta;
  __device__ float value(const float (&v)[1], int64_t i) const {
    int64_t c;
    const int64_t cell = shape.cell(i, c);
    return fmaf((v[0] - high[cell]) - low[cell], slope[cell], beta != nullptr ? beta[c] : 0.0f);
  }
};

template <class T>
size_t group_norm_forward_workspace(const GroupNormSpec& s, int) {
  return GroupNormBuffers::bytes<T>(s);
}

template <class T>
void group_norm_forward(const GroupNormSpec& s, const T* x, const float* gamma, const float* beta, T* y,
                        double* moments, const Context& context) {
  const GroupNormShape shape(s);
  const auto buffers = GroupNormBuffers::in<T>(s, context.workspace);
  const auto [high, low, slope, unused] = buffers.vectors;
  static_cast<void>(unused);
  double* sums = buffers.sums[0];
  const double share = 1 / static_cast<double>(s.rows * s.group_channels());
  const int64_t groups = s.samples * s.groups;
  const bool packed = s.channels % Pack<T>::kSize == 0 && aligned_for_packs(x);
  sum_columns<T>(context, s.samples, s.rows, s.channels, SampleTerms<T>{shape, x, nullptr, nullptr, packed},
                 sums);
  for_each(context, groups, Means{shape, share, sums, moments, high, low});
  sum_columns<T>(context, s.samples, s.rows, s.channels, SampleTerms<T>{shape, x, high, low, packed}, sums);
  for_each(context, groups, Scales{shape, share, s.epsilon, sums, gamma, moments, slope});
  map(context, s.samples * s.rows * s.channels, y, Normalise{shape, high, low, slope, beta}, x);
}

}  // namespace

void add_group_norm_forward(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, group_norm_forward);
}

}  // namespace fc::cuda
