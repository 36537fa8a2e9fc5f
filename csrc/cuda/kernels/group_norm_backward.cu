// group_norm_backward.cu — gradients of group normalisation.
//
// Math       x̂ = (x − mean)·rstd      a[n,c] = Σ_m dy      b[n,c] = Σ_m dy·x̂
//            dbeta = Σ_n a      dgamma = Σ_n b
//            dx = rstd·(gamma·dy − p − x̂·q), p and q the means of gamma·a and gamma·b over a group's cells
// Shapes     dy, x, dx (N,M,C)   gamma (null means 1), dgamma, dbeta (C)   moments (N,groups,2)
// Grid/Block matrix_sums.cuh for the sums, map.cuh for dx; a thread per group or channel between them
// Numerics   float32, sums as in matrix_sums.cuh
// Workspace  group_norm.cuh
// Edges      no samples: dgamma and dbeta are 0
// Source     Wu, He, "Group Normalization", 2018
#include "cuda/kernels/group_norm.cuh"

namespace fc::cuda {
namespace {

struct Centres {
  GroupNormShape shape;
  const double* moments;
  float *centre, *rstd;

  __device__ void operator()(int64_t cell) const {
    const double* m = moments + 2 * (cell / shape.each);
    centre[cell] = static_cast<float>(m[0]);
    rstd[cell] = static_cast<float>(m[1]);
  }
};

// The sum of dy, or with x that of dy·x̂.
template <class T>
struct GradientTerms {
  using Sum = float;
  GroupNormShape shape;
  const T *dy, *x;
  const float *centre, *rstd;
  bool packed;

  template <int size>
  __device__ __forceinline__ void add(int64_t n, int64_t r, int64_t c, Sum (&sums)[size]) const {
    const int64_t at = (n * shape.rows + r) * shape.channels + c;
    float g[size], v[size] = {};
    load_values(dy + at, packed, g);
    if (x != nullptr) load_values(x + at, packed, v);
#pragma unroll
    for (int j = 0; j < size; ++j) {
      const int64_t cell = n * shape.channels + c + j;
      sums[j] = x == nullptr ? sums[j] + g[j] : fmaf(g[j], (v[j] - centre[cell]) * rstd[cell], sums[j]);
    }
  }
};

// What dx is made of: along_dy·dy + along_x·(x − centre) + offset; along_dy holds rstd before.
struct Coefficients {
  GroupNormShape shape;
  double share;
  const double *a, *b, *moments;
  const float* gamma;
  float *along_dy, *along_x, *offset;

  __device__ void operator()(int64_t i) const {
    const int64_t first = i * shape.each;  // groups of a sample lie side by side, and so do samples
    const double rstd = moments[2 * i + 1];
    double p = 0, q = 0;
    for (int64_t c = first; c < first + shape.each; ++c) {
      p += scale(c) * a[c];
      q += scale(c) * b[c];
    }
    for (int64_t c = first; c < first + shape.each; ++c) {
      along_dy[c] = static_cast<float>(rstd * scale(c));
      along_x[c] = static_cast<float>(-rstd * rstd * q * share);
      offset[c] = static_cast<float>(-rstd * p * share);
    }
  }
  __device__ double scale(int64_t c) const {
    return gamma != nullptr ? static_cast<double>(gamma[c % shape.channels]) : 1.0;
  }
};

struct Totals {
  int64_t samples, channels;
  const double *a, *b;
  float *dgamma, *dbeta;

  __device__ void operator()(int64_t c) const {
    double of_a = 0, of_b = 0;
    for (int64_t n = 0; n < samples; ++n) {
      of_a += a[n * channels + c];
      of_b += b[n * channels + c];
    }
    dbeta[c] = static_cast<float>(of_a);
    dgamma[c] = static_cast<float>(of_b);
  }
};

struct InputGradient {
  GroupNormShape shape;
  const float *centre, *along_dy, *along_x, *offset;
  __device__ float value(const float (&v)[2], int64_t i) const {
    int64_t c;
    const int64_t cell = shape.cell(i, c);
    return fmaf(v[0], along_dy[cell], fmaf(v[1] - centre[cell], along_x[cell], offset[cell]));
  }
};

template <class T>
size_t group_norm_backward_workspace(const GroupNormSpec& s, int) {
  return GroupNormBuffers::bytes<T>(s);
}

template <class T>
void group_norm_backward(const GroupNormSpec& s, const T* dy, const T* x, const float* gamma,
                         const double* moments, T* dx, float* dgamma, float* dbeta, const Context& context) {
  const GroupNormShape shape(s);
  const auto buffers = GroupNormBuffers::in<T>(s, context.workspace);
  const auto [centre, along_dy, along_x, offset] = buffers.vectors;
  const auto [a, b] = buffers.sums;
  const double share = 1 / static_cast<double>(s.rows * s.group_channels());
  const bool packed = s.channels % Pack<T>::kSize == 0 && aligned_for_packs(dy, x);
  for_each(context, s.samples * s.channels, Centres{shape, moments, centre, along_dy});
  const auto sum = [&](const T* with_x, double* to) {
    sum_columns<T>(context, s.samples, s.rows, s.channels,
                   GradientTerms<T>{shape, dy, with_x, centre, along_dy, packed}, to);
  };
  sum(nullptr, a);
  sum(x, b);
  for_each(context, s.channels, Totals{s.samples, s.channels, a, b, dgamma, dbeta});
  for_each(context, s.samples * s.groups,
           Coefficients{shape, share, a, b, moments, gamma, along_dy, along_x, offset});
  map(context, s.samples * s.rows * s.channels, dx, InputGradient{shape, centre, along_dy, along_x, offset},
      dy, x);
}

}  // namespace

void add_group_norm_backward(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, group_norm_backward);
}

}  // namespace fc::cuda
