// group_norm_forward.cpp — every group of channels of a sample is centred and scaled by its own moments.
//
// Math       mean[n,g] and var[n,g] over the pixels of sample n and the channels of group g;
//            y = (x − mean)·gamma[c]/√(var + epsilon) + beta[c]
// Shapes     x, y (N,M,C)   gamma, beta (C), null mean 1, 0   moments (N,groups,2): mean, 1/√(var + epsilon)
// Blocking   x is read twice: for the moments of every sample's channels, which a group's are merged from, and
//            to write y
// Threads    over samples and parts of their pixels, one writer each; parts are merged in ascending order
// Numerics   batch_moments.h. What rounding the mean to T loses is put back in y
// Workspace  batch_moments.h's of every sample; two doubles and three T per sample and channel
// Source     Wu, He, "Group Normalization", 2018
#include <math.h>

#include "cpu/kernels/batch_moments.h"
#include "cpu/kernels/group_norm.h"
#include "cpu/kernels/norm.h"
#include "cpu/kernels/workspace.h"

namespace fc::cpu::FC_ISA {
namespace {

// Moments of each sample's channels, and what these are scaled by: y = (x − centre)·slope + offset.
template <class T>
struct ForwardWorkspace {
  double *parts, *channels;
  T *centre, *slope, *offset;
  size_t bytes;

  ForwardWorkspace(const GroupNormSpec& s, void* base) {
    const int64_t cells = s.samples * s.channels;
    WorkspaceCutter cutter(base);
    parts = cutter.take<double>(s.samples * column_moments_size<T>(s.rows, s.channels));
    channels = cutter.take<double>(2 * cells);
    for (T** cell : {&centre, &slope, &offset}) *cell = cutter.take<T>(cells);
    bytes = cutter.bytes();
  }

  ColumnMoments<T> of_sample(const GroupNormSpec& s, const T* x, int64_t n) const {
    return {s.rows, s.channels, x + n * s.rows * s.channels,
            parts + n * column_moments_size<T>(s.rows, s.channels)};
  }
};

template <class T>
size_t group_norm_forward_workspace(const GroupNormSpec& s, int) {
  return ForwardWorkspace<T>(s, nullptr).bytes;
}

// Of a group of channels of one sample, all of `rows` pixels.
inline Moments group_moments(const GroupNormSpec& s, const double* channels, int64_t first) {
  const double *mean = channels + first, *squares = mean + s.channels;
  Moments m;
  for (int64_t i = 0; i < s.group_channels(); ++i)
    m.mean += mean[i] / static_cast<double>(s.group_channels());
  for (int64_t i = 0; i < s.group_channels(); ++i) {
    const double delta = mean[i] - m.mean;
    m.squares += squares[i] + delta * delta * static_cast<double>(s.rows);
  }
  return m;
}

template <class T>
void group_norm_forward(const GroupNormSpec& s, const T* x, const T* gamma, const T* beta, T* y,
                        double* moments, const Context& context) {
  const int64_t C = s.channels, each = s.group_channels();
  const ForwardWorkspace<T> w(s, context.workspace);
  const int64_t parts = RowParts(folded<T>(s.rows, C).rows).parts;
  parallel_for(threads_for(s.samples * s.rows * C, context.threads), s.samples * parts,
               [&](int64_t task) { w.of_sample(s, x, task / parts).take(task % parts); });
  for (int64_t n = 0; n < s.samples; ++n) w.of_sample(s, x, n).finish(w.channels + 2 * n * C);
  for (int64_t i = 0; i < s.samples * s.groups; ++i) {
    const int64_t n = i / s.groups, first = i % s.groups * each;
    const Moments m = group_moments(s, w.channels + 2 * n * C, first);
    const double variance = m.squares / static_cast<double>(s.rows * each);
    const double rstd = 1 / sqrt(variance + s.epsilon);
    const T rounded = static_cast<T>(m.mean);
    const double lost = (m.mean - static_cast<double>(rounded)) * rstd;
    for (int64_t c = first; c < first + each; ++c) {
      const double scale = gamma ? static_cast<double>(gamma[c]) : 1;
      w.centre[n * C + c] = rounded;
      w.slope[n * C + c] = static_cast<T>(rstd * scale);
      w.offset[n * C + c] = static_cast<T>((beta ? static_cast<double>(beta[c]) : 0) - lost * scale);
    }
    moments[2 * i] = m.mean;
    moments[2 * i + 1] = rstd;
  }
  for_each_in_samples<T>(s, context.threads, [=](int64_t n, int64_t at, int64_t c, int64_t count) {
    const int64_t cell = n * C + c;
    const Vec<T> d = load_up_to(x + at, count) - load_up_to(w.centre + cell, count);
    store_up_to(y + at, fma<T>(d, load_up_to(w.slope + cell, count), load_up_to(w.offset + cell, count)),
                count);
  });
}

}  // namespace

void add_group_norm_forward(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, group_norm_forward);
}

}  // namespace fc::cpu::FC_ISA
