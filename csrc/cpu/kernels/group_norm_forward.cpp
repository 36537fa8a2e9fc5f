// group_norm_forward.cpp — every group of channels of a sample is centred and scaled by its own moments.
//
// Math       mean[n,g] and var[n,g] over the pixels of sample n and the channels of group g;
//            y = (x − mean)·gamma[c]/√(var + epsilon) + beta[c]
// Shapes     x, y (N,M,C)   gamma, beta (C), null mean 1, 0   moments (N,groups,2): mean, 1/√(var + epsilon)
// Blocking   x is read three times: for the means, for the deviations from them, to write y
// Threads    over samples and parts of their pixels, one writer per sum; parts are added in ascending order
// Numerics   sums of 128 pixels in T, blocks in double. The second pass corrects the first one's mean, so
//            that a large mean does not cancel; what rounding it to T loses is put back in y
// Workspace  two doubles per part of a sample and channel, three T per sample and channel
// Source     Wu, He, "Group Normalization", 2018; Chan, Golub, LeVeque, 1983, eq. 1.7
#include <math.h>

#include "cpu/kernels/group_norm.h"
#include "cpu/kernels/norm.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
size_t group_norm_forward_workspace(const GroupNormSpec& s, int) {
  const auto cells = static_cast<size_t>(s.samples * s.channels);
  return static_cast<size_t>(sample_sums_size(s, 2)) * sizeof(double) + 3 * cells * sizeof(T);
}

template <class T>
void group_norm_forward(const GroupNormSpec& s, const T* x, const T* gamma, const T* beta, T* y,
                        double* moments, const Context& context) {
  const int64_t C = s.channels, each = s.group_channels(), cells = s.samples * C;
  const double share = 1 / static_cast<double>(s.rows * each);
  double* sums = static_cast<double*>(context.workspace);
  T* centre = reinterpret_cast<T*>(sums + sample_sums_size(s, 2));  // of each sample and channel, as below
  T *slope = centre + cells, *offset = slope + cells;
  const auto for_each_group = [&](const auto& f) {
    for (int64_t i = 0; i < s.samples * s.groups; ++i) f(i / s.groups, i % s.groups * each, moments + 2 * i);
  };
  sum_samples<T, 1>(s, context.threads, sums,
                    [&](int64_t, int64_t row, int64_t c, int64_t count, Vec<T>* sum) {
                      sum[0] += load_up_to(x + row * C + c, count);
                    });
  for_each_group([&](int64_t n, int64_t first, double* m) {
    double total = 0;
    for (int64_t c = first; c < first + each; ++c) total += sums[n * C + c];
    for (int64_t c = first; c < first + each; ++c) centre[n * C + c] = static_cast<T>(total * share);
    m[0] = total * share;
  });
  sum_samples<T, 2>(s, context.threads, sums,
                    [&](int64_t n, int64_t row, int64_t c, int64_t count, Vec<T>* sum) {
                      const Vec<T> middle = load_up_to(centre + n * C + c, count);
                      const Vec<T> d = load_up_to(x + row * C + c, count) - middle;
                      sum[0] += d;
                      sum[1] = fma<T>(d, d, sum[1]);
                    });
  for_each_group([&](int64_t n, int64_t first, double* m) {
    double rest = 0, squares = 0;
    for (int64_t c = first; c < first + each; ++c) {
      rest += sums[n * 2 * C + c];
      squares += sums[n * 2 * C + C + c];
    }
    const double variance = (squares - rest * rest * share) * share;
    const double rstd = 1 / sqrt((variance < 0 ? 0 : variance) + s.epsilon);
    const double lost = rest * share * rstd;
    for (int64_t c = first; c < first + each; ++c) {
      const double scale = gamma ? static_cast<double>(gamma[c]) : 1;
      slope[n * C + c] = static_cast<T>(rstd * scale);
      offset[n * C + c] = static_cast<T>((beta ? static_cast<double>(beta[c]) : 0) - lost * scale);
    }
    m[0] = static_cast<double>(centre[n * C + first]) + rest * share;
    m[1] = rstd;
  });
  for_each_in_samples<T>(s, context.threads, [&](int64_t n, int64_t at, int64_t c, int64_t count) {
    const int64_t cell = n * C + c;
    const Vec<T> d = load_up_to(x + at, count) - load_up_to(centre + cell, count);
    store_up_to(y + at, fma<T>(d, load_up_to(slope + cell, count), load_up_to(offset + cell, count)), count);
  });
}

}  // namespace

void add_group_norm_forward(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, group_norm_forward);
}

}  // namespace fc::cpu::FC_ISA
