// depth.cpp — the taps of a window along depth side by side in the channels, and their sum back again.
//
// Math       unfold: columns[n,p,m,(g,t,c)] = x[n, p·stride − before + t·dilation, m, (g,c)], 0 outside
//            fold:   x[n,d,m,(g,c)] = Σ_t columns[n,p,m,(g,t,c)] over the p with p·stride − before +
//                    t·dilation = d
// Shapes     x (N,D,M,C)   columns (N,P,M,taps·C), M pixels of a slice
// Threads    over pixels of the result, one writer per cell
// Numerics   fold: in T, t ascending
// Workspace  none
#include <string.h>

#include "core/layout_spec.h"
#include "cpu/kernels/table.h"
#include "cpu/kernels/work.h"
#include "cpu/parallel.h"
#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
void depth_unfold(const DepthSpec& s, const T* x, T* columns, const Context& context) {
  const Window& w = s.window;
  const int64_t taps = w.kernel, some = s.C / s.groups, width = taps * s.C;
  parallel_blocks(threads_for(s.N * s.P * s.M * width, context.threads), s.N * s.P * s.M,
                  rows_per_block(width), [&](int64_t begin, int64_t end) {
                    for (int64_t row = begin; row < end; ++row) {
                      const int64_t slice = row / s.M, m = row - slice * s.M;
                      const int64_t n = slice / s.P, p = slice - n * s.P;
                      for (int64_t t = 0; t < taps; ++t) {
                        const int64_t d = p * w.stride - w.pad_before + t * w.dilation;
                        const bool inside = d >= 0 && d < s.D;
                        const T* from = x + ((n * s.D + (inside ? d : 0)) * s.M + m) * s.C;
                        for (int64_t g = 0; g < s.groups; ++g) {
                          T* to = columns + row * width + (g * taps + t) * some;
                          const size_t bytes = static_cast<size_t>(some) * sizeof(T);
                          if (inside) {
                            memcpy(to, from + g * some, bytes);
                          } else {
                            memset(to, 0, bytes);
                          }
                        }
                      }
                    }
                  });
}

template <class T>
void depth_fold(const DepthSpec& s, const T* columns, T* x, const Context& context) {
  const Window& w = s.window;
  const int64_t taps = w.kernel, some = s.C / s.groups, width = taps * s.C;
  const auto add_tap = [&](const T* from, T* to) {
    for (int64_t g = 0; g < s.groups; ++g) {
      for_each_vector<T>(some, [&](int64_t c, int64_t count) {
        T* sum = to + g * some + c;
        store_up_to(sum, load_up_to(sum, count) + load_up_to(from + g * taps * some + c, count), count);
      });
    }
  };
  parallel_blocks(threads_for(s.N * s.D * s.M * width, context.threads), s.N * s.D * s.M,
                  rows_per_block(width), [&](int64_t begin, int64_t end) {
                    for (int64_t row = begin; row < end; ++row) {
                      const int64_t slice = row / s.M, m = row - slice * s.M;
                      const int64_t n = slice / s.D, d = slice - n * s.D;
                      memset(x + row * s.C, 0, static_cast<size_t>(s.C) * sizeof(T));
                      for (int64_t t = 0; t < taps; ++t) {
                        const int64_t start = d + w.pad_before - t * w.dilation;
                        if (start < 0) break;  // and so for every later tap
                        const int64_t p = start / w.stride;
                        if (p >= s.P || p * w.stride != start) continue;
                        add_tap(columns + ((n * s.P + p) * s.M + m) * width + t * some, x + row * s.C);
                      }
                    }
                  });
}

}  // namespace

void add_depth(KernelTable& table) {
  FC_ADD(table, depth_unfold);
  FC_ADD(table, depth_fold);
}

}  // namespace fc::cpu::FC_ISA
