// conv2d_sums.cu — convolutions that sum up their results for the batch normalisation next to them.
//
// Math       as conv2d_forward.cu, with the mean and the sum of squared deviations of each column of y;
//            as conv2d_backward_input.cu, with Σ dx and Σ dx·(normalized − batch_mean)
// Shapes     moments (2,K)   sums (2,C), float64   normalized (N,H,W,C): what the normalisation read
//            batch_mean (C)
// Grid/Block the convolution's, whose tiles sum up their results on the way to memory (tally.cuh) where they
//            can (conv2d.h), and what adds that up; else a pass over the results
// Numerics   of the results as they are stored; tally.cuh, column_moments.cuh, column_sums.cuh
// Workspace  the largest of the convolution's, the tally's and the pass's
// Edges      an empty batch gives zeros
#include "cuda/device/column_moments.cuh"
#include "cuda/kernels/batch_norm_sums.cuh"
#include "cuda/kernels/conv2d.h"
#include "cuda/table.h"

namespace fc::cuda {
namespace {

struct StoreMoments {
  double* moments;
  int64_t width;

  __device__ void operator()(int64_t c, const Moments& m) const {
    moments[c] = m.mean;
    moments[width + c] = m.squares;
  }
};

struct StoreSums {
  double* sums;
  int64_t width;

  __device__ void operator()(int64_t c, const double (&totals)[2]) const {
    sums[c] = totals[0];
    sums[width + c] = totals[1];
  }
};

// What a tally's partials take at most.
size_t tally_bytes(int64_t rows, int64_t width, int numbers) {
  const int64_t parts = ceil_div(rows, kLeastTileRows) + kPhasesPerLaunch;
  return sizeof(float) * static_cast<size_t>(parts * width * numbers);
}

template <class T>
size_t conv2d_forward_moments_workspace(const Conv2dSpec& s, int threads) {
  const int64_t rows = s.N * s.P * s.Q;
  return std::max({conv2d_forward_workspace<T>(s, threads), column_moments_bytes<T>(rows, s.K),
                   tally_bytes(rows, s.K, 3)});
}

template <class T>
void conv2d_forward_moments(const Conv2dSpec& s, const T* x, const T* w, const float* bias, T* y,
                            double* moments, const Context& context) {
  const int64_t rows = s.N * s.P * s.Q;
  auto* const partial = static_cast<float*>(context.workspace);
  Epilogue<T> epilogue;
  epilogue.bias = bias, epilogue.activation = Activated(s.activation);
  Tally<T> tally;
  tally.partial = partial;
  const TallyParts parts = conv2d_forward_tallied(s, x, w, epilogue, tally, y, context);
  const StoreMoments store{moments, s.K};
  if (parts.count == 0) return column_moments<T>(context, rows, s.K, y, partial, store);
  merge_moments<T>(context, {{partial, parts.count, s.K, s.K, 0}, rows, rows, parts.rows}, y, store);
}

template <class T>
size_t conv2d_backward_input_sums_workspace(const Conv2dSpec& s, int threads) {
  const int64_t rows = s.N * s.H * s.W;
  return std::max({conv2d_backward_input_workspace<T>(s, threads), column_sums_bytes<T, 2>(rows, s.C),
                   tally_bytes(rows, s.C, 2)});
}

template <class T>
void conv2d_backward_input_sums(const Conv2dSpec& s, const T* dy, const T* w, const T* gate, const T* addend,
                                const T* normalized, const float* batch_mean, T* dx, double* sums,
                                const Context& context) {
  auto* const partial = static_cast<float*>(context.workspace);
  Epilogue<T> epilogue;
  epilogue.addend = addend, epilogue.gate = gate, epilogue.gated = Activated(s.activation);
  Tally<T> tally;
  if (aligned_for_packs(normalized, batch_mean)) {
    tally.partial = partial, tally.normalized = normalized, tally.batch_mean = batch_mean;
  }
  const TallyParts parts = conv2d_backward_input_tallied(s, dy, w, epilogue, tally, dx, context);
  const StoreSums store{sums, s.C};
  if (parts.count > 0) {
    return column_totals<2>(context, Partials{partial, parts.count, s.C, s.C, 0}, store);
  }
  const auto run = [&](const auto& terms) {
    column_sums<2>(context, s.N * s.H * s.W, s.C, terms, partial, store);
  };
  if (aligned_for_packs(dx, normalized)) {
    run(GradientTerms<T, Pack<T>::kSize, false>{{dx, normalized, nullptr}, batch_mean});
  } else {
    run(GradientTerms<T, 1, false>{{dx, normalized, nullptr}, batch_mean});
  }
}

}  // namespace

void add_conv2d_sums(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, conv2d_forward_moments);
  FC_ADD_WITH_WORKSPACE(table, conv2d_backward_input_sums);
}

}  // namespace fc::cuda
