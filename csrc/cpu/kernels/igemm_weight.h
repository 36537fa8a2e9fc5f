// igemm_weight.h — the loops around multiply_outer: weight and bias gradients, outer products over pixels.
//
// Math       dw[tap·depth + c][j] = Σ_m rows[tap][m][c] · dy[m][j],  dbias[j] = Σ_m dy[m][j]; per group
// Blocking   a task owns a chunk of pixels and a part of dw; some pixels at a time it packs dy's
//            panels and passes all (tap, c) tiles over them, adding to its part (kWeightPartBytes: L2). The first tiles
//            ask for dy of the next pixels meanwhile: packing would wait for memory, a fifth to a third of a 1x1's time
// Threads    over (pixel chunk, group, part of dw). Chunks depend on the shape alone and their sums are
//            added in a fixed tree, so the bits do not depend on the number of threads
// Numerics   fma ascending in m within a chunk, then the tree; dbias: sums of a block, then likewise
// Tried      copying channels of x together, for rows a power of two apart, which compete for few sets of L1:
//            loses 15 to 20 % at 512 and 784 channels
// Edges      no pixels: zeros; taps outside multiply zeros, or are left out where dy is not finite
#pragma once

#include "core/context.h"
#include "cpu/kernels/igemm_weight_block.h"
#include "cpu/kernels/tree_sum.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {

template <class T>
void igemm_weight(const IgemmWeight<T>& p, const Context& context) {
  const IgemmWeightBlocking<T> k(p);
  const IgemmWeightWorkspace<T> workspace(p, k, context.threads, context.workspace);
  const int64_t positions = p.rows.positions();
  if (positions == 0) {
    for (int64_t i = 0; i < p.weights(); ++i) p.dw[i] = T(0);
    for (int64_t i = 0; p.dbias != nullptr && i < p.filters(); ++i) p.dbias[i] = T(0);
    return;
  }
  for (int64_t i = 0; i < p.rows.depth(); ++i) workspace.zeros[i] = T(0);

  const int threads = threads_for_products(positions * p.weights(), p.weights(), context.threads);
  const int64_t parts = k.column_runs * k.row_runs;
  parallel_for_slots(threads, k.chunks * p.groups * parts, [&](int64_t task, int slot) {
    const int64_t row_run = task % k.row_runs, column_run = task % parts / k.row_runs;
    const int64_t group = task / parts % p.groups, chunk = task / parts / p.groups;
    WorkspaceCutter cutter = workspace.slots.at(slot);
    const IgemmWeightScratch<T> scratch(p, k.run_panels, cutter);
    T* dw = workspace.dw + chunk * p.weights();
    T* dbias = p.dbias != nullptr && row_run == 0 ? workspace.dbias + chunk * p.filters() : nullptr;
    const int64_t begin = chunk * k.chunk_blocks, end = min_of(begin + k.chunk_blocks, k.blocks);
    for (int64_t block = begin; block < end; ++block) {
      const int64_t first = block * kPixelBlock, count = min_of(kPixelBlock, positions - first);
      multiply_block<T>({p, k.panels, scratch, workspace.zeros, group, first, count, block > begin,
                         block + 1 == end, part_of(k.panels.count, k.column_runs, column_run),
                         k.rows_of(row_run, p.rows.depth()), dw, dbias});
    }
  });

  if (k.chunks > 1) {
    tree_sum(workspace.dw, k.chunks, p.weights(), p.weights(), p.dw,
             threads_for_copying(k.chunks * p.weights(), threads));
    if (p.dbias != nullptr) tree_sum(workspace.dbias, k.chunks, p.filters(), p.filters(), p.dbias, 1);
  }
}

}  // namespace fc::cpu::FC_ISA
