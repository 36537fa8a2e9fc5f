// igemm_dot.h — the product of igemm.h with so few columns that a vector of them would be mostly padding:
// one or a few filters, the gradient of a grey or colour image, a transposed convolution that draws one.
#pragma once

#include "core/context.h"
#include "cpu/kernels/igemm_problem.h"
#include "cpu/kernels/tile_dot.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {

template <class T>
inline bool suits_dot(const Igemm<T>& p) {
  return suits_dot<T>(p.rows.one_by_one().taps(), p.rows.channels, p.columns);
}

template <class T>
struct DotWorkspace {
  T* b;  // [groups][columns][taps * channels]
  T* zeros;
  SlotWorkspace slots;

  struct Scratch {
    const T** rows;
    T** out;
    Scratch(int64_t taps, WorkspaceCutter& cutter)
        : rows(cutter.take<const T*>(taps * kRowBlock)), out(cutter.take<T*>(kRowBlock)) {}
  };

  DotWorkspace(const Igemm<T>& p, int threads, void* base) {
    const int64_t taps = p.rows.one_by_one().taps();
    WorkspaceCutter cutter(base);
    b = cutter.take<T>(p.groups * p.columns * taps * p.rows.channels);
    zeros = cutter.take<T>(p.rows.channels);
    WorkspaceCutter one(nullptr);
    Scratch(taps, one);
    slots = SlotWorkspace(cutter, one.bytes(), threads);
  }
};

// to[group][column][tap][channel]; whether all of it is finite.
template <class T>
inline bool transpose_filter(const Igemm<T>& p, int64_t taps, T* to) {
  const int64_t joined = p.rows.merged ? p.rows.w.taps : 1;
  bool finite = true;
  for (int64_t group = 0; group < p.groups; ++group) {
    for (int64_t j = 0; j < p.columns; ++j) {
      for (int64_t tap = 0; tap < taps; ++tap) {
        const T* from = p.filter.at(group, tap / joined, tap % joined * p.rows.channels, j);
        for (int64_t c = 0; c < p.rows.channels; ++c) {
          *to = from[c * p.filter.row];
          finite = finite && *to * T(0) == T(0);
          ++to;
        }
      }
    }
  }
  return finite;
}

template <class T>
void igemm_dot(const Igemm<T>& p, const Context& context) {
  const ImageRows<T> rows = p.rows.one_by_one();
  const int64_t depth = rows.taps() * rows.channels, positions = rows.positions(),
                blocks = ceil_div(positions, kRowBlock);
  const DotWorkspace<T> workspace(p, context.threads, context.workspace);
  const bool finite = transpose_filter(p, rows.taps(), workspace.b);
  for (int64_t i = 0; i < rows.channels; ++i) workspace.zeros[i] = T(0);

  const int threads = threads_for_products(p.products(), p.filter_size(), context.threads);
  parallel_for_slots(threads, blocks * p.groups, [&](int64_t task, int slot) {
    const int64_t group = task % p.groups, first = task / p.groups * kRowBlock;
    const int64_t count = min_of(kRowBlock, positions - first);
    WorkspaceCutter cutter = workspace.slots.at(slot);
    const typename DotWorkspace<T>::Scratch scratch(rows.taps(), cutter);
    rows.point(first, count, kRowBlock, group * rows.channels, workspace.zeros, nullptr, scratch.rows);
    point_out(p, first, count, group, scratch.out);
    const Epilogue<T> epilogue = p.epilogue.from_column(group * p.columns);
    multiply_dot_rows<T>(
        p.columns,
        {scratch.rows, kRowBlock, rows.taps(), rows.channels, workspace.b + group * p.columns * depth,
         scratch.out, 1, &epilogue, finite ? nullptr : workspace.zeros},
        count);
    epilogue.finish(scratch.out, count, 0, p.columns);
  });
}

}  // namespace fc::cpu::FC_ISA
