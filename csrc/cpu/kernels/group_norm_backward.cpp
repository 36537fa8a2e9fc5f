// group_norm_backward.cpp — gradients of group normalisation.
//
// Math       x̂ = (x − mean)·rstd      a[n,c] = Σ_m dy      b[n,c] = Σ_m dy·x̂
//            dbeta = Σ_n a      dgamma = Σ_n b
//            dx = rstd·(gamma·dy − p − x̂·q), p and q the means of gamma·a and gamma·b over a group's cells
// Shapes     dy, x, dx (N,M,C)   gamma (null means 1), dgamma, dbeta (C)   moments (N,groups,2)
// Blocking   dy and x are read twice: for the sums, to write dx
// Threads    over samples and parts of their pixels; parts, then samples are added in ascending order
// Numerics   sums of 128 pixels in T, blocks in double
// Workspace  two doubles per part of a sample and channel, four T per sample and channel
// Edges      no samples: dgamma and dbeta are 0
// Source     Wu, He, "Group Normalization", 2018
#include "cpu/kernels/group_norm.h"
#include "cpu/kernels/norm.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
size_t group_norm_backward_workspace(const GroupNormSpec& s, int) {
  const auto cells = static_cast<size_t>(s.samples * s.channels);
  return static_cast<size_t>(sample_sums_size(s, 2)) * sizeof(double) + 4 * cells * sizeof(T);
}

template <class T>
void group_norm_backward(const GroupNormSpec& s, const T* dy, const T* x, const T* gamma,
                         const double* moments, T* dx, T* dgamma, T* dbeta, const Context& context) {
  const int64_t C = s.channels, each = s.group_channels(), cells = s.samples * C;
  double* sums = static_cast<double*>(context.workspace);
  // dx = along_dy·dy + along_x·(x − centre) + offset, and x̂ = (x − centre)·rstd meanwhile in along_x.
  T* centre = reinterpret_cast<T*>(sums + sample_sums_size(s, 2));
  T *along_dy = centre + cells, *along_x = along_dy + cells, *offset = along_x + cells;
  for (int64_t i = 0; i < cells; ++i) {
    const double* m = moments + 2 * (i / C * s.groups + i % C / each);
    centre[i] = static_cast<T>(m[0]);
    along_x[i] = static_cast<T>(m[1]);
  }
  sum_samples<T, 2>(s, context.threads, sums,
                    [&](int64_t n, int64_t row, int64_t c, int64_t count, Vec<T>* sum) {
                      const int64_t cell = n * C + c;
                      const Vec<T> g = load_up_to(dy + row * C + c, count);
                      const Vec<T> d = load_up_to(x + row * C + c, count) - load_up_to(centre + cell, count);
                      sum[0] += g;
                      sum[1] = fma<T>(g, d * load_up_to(along_x + cell, count), sum[1]);
                    });
  for (int64_t c = 0; c < C; ++c) {
    double a = 0, b = 0;
    for (int64_t n = 0; n < s.samples; ++n) {
      a += sums[n * 2 * C + c];
      b += sums[n * 2 * C + C + c];
    }
    dbeta[c] = static_cast<T>(a);
    dgamma[c] = static_cast<T>(b);
  }
  const double share = 1 / static_cast<double>(s.rows * each);
  for (int64_t i = 0; i < s.samples * s.groups; ++i) {
    const int64_t n = i / s.groups, first = i % s.groups * each;
    const double rstd = moments[2 * i + 1];
    const auto scale = [&](int64_t c) { return gamma ? static_cast<double>(gamma[c]) : 1; };
    double p = 0, q = 0;
    for (int64_t c = first; c < first + each; ++c) {
      p += scale(c) * sums[n * 2 * C + c];
      q += scale(c) * sums[n * 2 * C + C + c];
    }
    for (int64_t c = first; c < first + each; ++c) {
      along_dy[n * C + c] = static_cast<T>(rstd * scale(c));
      along_x[n * C + c] = static_cast<T>(-rstd * rstd * q * share);
      offset[n * C + c] = static_cast<T>(-rstd * p * share);
    }
  }
  for_each_in_samples<T>(s, context.threads, [=](int64_t n, int64_t at, int64_t c, int64_t count) {
    const int64_t cell = n * C + c;
    const Vec<T> d = load_up_to(x + at, count) - load_up_to(centre + cell, count);
    const Vec<T> rest = fma<T>(d, load_up_to(along_x + cell, count), load_up_to(offset + cell, count));
    store_up_to(dx + at, fma<T>(load_up_to(dy + at, count), load_up_to(along_dy + cell, count), rest), count);
  });
}

}  // namespace

void add_group_norm_backward(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, group_norm_backward);
}

}  // namespace fc::cpu::FC_ISA
