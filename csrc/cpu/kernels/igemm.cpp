// igemm.cpp — the product of igemm.h: which loops around the tiles compute it.
#include "cpu/kernels/igemm.h"

#include "cpu/kernels/igemm_block.h"
#include "cpu/kernels/igemm_dot.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {
namespace {

template <class T>
void multiply_panels(const RowBlock<T>& r, Range panels) {
  const int64_t blocks = panels.size() * r.k.depth_blocks();
  int64_t careful = -1;  // the last panel with numbers that are not finite
  for (int64_t i = 0; i < blocks;) {
    const FilterBlock d = filter_block(r.p, r.k, panels, i),
                      next = filter_block(r.p, r.k, panels, min_of(i + 1, blocks - 1));
    if (multiply_block(r, d, r.k.packed_ahead || r.k.streamed ? nullptr : &next, d.panel == careful)) {
      ++i;
    } else {
      careful = d.panel, i -= i % r.k.depth_blocks();  // the panel's sums from the first on
    }
  }
  const int64_t begin = r.k.panels.column_of(panels.begin);
  r.epilogue.finish(r.scratch.out, r.count, begin, r.k.panels.column_of(panels.end) - begin);
}

}  // namespace

template <class T>
size_t igemm_workspace(const Igemm<T>& p, int threads) {
  if (suits_dot(p)) return DotWorkspace<T>(p, threads, nullptr).slots.total_bytes;
  return IgemmWorkspace<T>(p, IgemmBlocking<T>(p), threads, nullptr).slots.total_bytes;
}

template <class T>
void igemm(const Igemm<T>& p, const Context& context) {
  if (suits_dot(p)) return igemm_dot(p, context);
  const IgemmBlocking<T> k(p);
  const IgemmWorkspace<T> workspace(p, k, context.threads, context.workspace);
  const int threads = threads_for_products(p.products(), p.filter_size(), context.threads);
  for (int64_t i = 0; i < p.rows.depth(); ++i) workspace.zeros[i] = T(0);
  const bool finite = k.packed_ahead && workspace.packed.fill(p.filter, k.panels, threads);
  parallel_for_slots(threads, k.blocks * p.groups * k.column_runs, [&](int64_t task, int slot) {
    const int64_t run = task % k.column_runs, group = task / k.column_runs % p.groups;
    const int64_t first = task / k.column_runs / p.groups * k.block;
    WorkspaceCutter cutter = workspace.slots.at(slot);
    const IgemmScratch<T> scratch(p, k, cutter);
    const Range panels = part_of(k.panels.count, k.column_runs, run);
    const RowBlock<T> rows(p, k, workspace, scratch, finite, group, first, panels.begin);
    multiply_panels(rows, panels);
  });
}

#define FC_INSTANTIATE(T)                                   \
  template size_t igemm_workspace<T>(const Igemm<T>&, int); \
  template void igemm<T>(const Igemm<T>&, const Context&);
FC_INSTANTIATE(float)
FC_F64(FC_INSTANTIATE(double))
#undef FC_INSTANTIATE

}  // namespace fc::cpu::FC_ISA
