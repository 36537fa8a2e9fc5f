// winograd_weight.h — weight and bias gradients of 3x3 and 5x5 convolutions by minimal filtering.
//
// Math       dw = Gᵀ [ Σ_tiles (Bᵀ x B) ∘ (A dy Aᵀ) ] G over tiles of MxM results, M + R = 7, and the 6x6
//            cells that each reads: 36 products for the 144 (3x3) or 100 (5x5) of direct sums
// Blocking   a task owns a chunk of tiles and a part of dw, whose 36 planes of sums stay in L2. kTileBlock
//            tiles at a time it transforms x and dy into planes, then adds the planes' outer products
// Threads    over (chunk, part of dw). Chunks depend on the shape alone; each is transformed back, and their
//            results are added in a fixed tree, so the bits do not depend on the number of threads
// Numerics   relative L2 error about 1e-6, at most 5e-6; largest error at most 3e-5 of the largest result.
//            dbias: tiles summed in ascending order within a chunk, then the tree
// Edges      cells outside the image, or of a ragged tile of dy, are zeros. A result that is not finite is
//            reported, for the caller to compute it directly
// Tried      prefetching the next sums: no gain. Parts of 48x48 or blocks of 32 and
//            64 tiles: 2 to 8 % slower. Tiles transformed once for all parts, in L3: no gain
// Source     Lavin and Gray, https://arxiv.org/abs/1509.09308, transposed
#pragma once

#include "core/context.h"
#include "cpu/kernels/tree_sum.h"
#include "cpu/kernels/winograd_weight_block.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {

// False if some sum is not finite.
template <class T, int taps>
bool winograd_weight(const WinogradWeight<T>& p, const Context& context) {
  const WinogradWeightBlocking<T> k(p, context.threads);
  const WinogradWeightWorkspace<T> workspace(p, k, context.threads, context.workspace);
  for (int64_t i = 0; i < workspace.zeros_size(p, k); ++i) workspace.zeros[i] = T(0);

  parallel_for_slots(context.threads, k.tasks(), [&](int64_t task, int slot) {
    const int64_t chunk = task / k.parts(), column_run = task / k.channel_runs % k.column_runs,
                  channel_run = task % k.channel_runs;
    WorkspaceCutter cutter = workspace.slots.at(slot);
    const WinogradWeightScratch<T> scratch(k, cutter);
    const WinogradPart<T> part{p,
                               scratch,
                               k.panels,
                               workspace.zeros,
                               k.channels_of(channel_run, p.s.C),
                               part_of(k.panels.count, k.column_runs, column_run)};
    T* dbias = p.dbias != nullptr && channel_run == 0 ? workspace.dbias + chunk * p.s.K : nullptr;
    for (int64_t i = 0; dbias != nullptr && i < part.columns(); ++i) dbias[part.first_column() + i] = T(0);

    const Range tiles = part_of(p.tiles().count, k.chunks, chunk);
    const int64_t blocks = max_of(ceil_div(tiles.size(), kTileBlock), 1);
    for (int64_t i = 0; i < blocks; ++i) {
      const Range block = part_of(tiles.size(), blocks, i);
      transform_x_block<T, 7 - taps>(part, tiles.begin + block.begin, block.size());
      transform_dy_block<T, 7 - taps>(part, tiles.begin + block.begin, block.size(), dbias);
      multiply_block(part, block.size(), i > 0);
    }
    workspace.check[task] = inverse_transform<T, taps>(part, workspace.dw + chunk * p.weights());
  });

  if (k.chunks > 1) {
    tree_sum(workspace.dw, k.chunks, p.weights(), p.weights(), p.dw, context.threads);
    if (p.dbias != nullptr) tree_sum(workspace.dbias, k.chunks, p.s.K, p.s.K, p.dbias, 1);
  }
  T check = 0;
  for (int64_t task = 0; task < k.tasks(); ++task) check += workspace.check[task];
  return check == T(0);
}

template <class T>
size_t winograd_weight_workspace(const WinogradWeight<T>& p, int threads) {
  return WinogradWeightWorkspace<T>(p, WinogradWeightBlocking<T>(p, threads), threads, nullptr)
      .slots.total_bytes;
}

}  // namespace fc::cpu::FC_ISA
