// amx_gemm.h — a product of two float32 matrices on AMX tiles, see amx_tile.h.
//
// Math       out[i][j] = epilogue(Σ_d a[i][d] · b[d][j]); either factor in either order
// Blocking   a task owns a block of rows, a run of pairs of column tiles, and maybe a chunk of the depth. It
//            passes over slices of the depth whose split factors stay in L2. A factor that several tasks need
//            is split ahead, by all threads; one that a single task needs is split there, slice by slice
// Threads    over (chunk, row block, run of columns): by shape alone; chunks are added in a fixed tree
// Numerics   as amx_tile.h, blocks of 32 depths in ascending order
// Workspace  amx_gemm_workspace(p, threads) bytes
// Edges      false, and `out` is left undefined, where a factor has infinities, NaN or very large numbers
#pragma once

#include "core/context.h"
#include "cpu/kernels/amx_block.h"
#include "cpu/kernels/tree_sum.h"
#include "cpu/kernels/workspace.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {

inline constexpr int64_t kAmxBlockPairs = 4;  // pairs of row tiles per task: 128 rows
inline constexpr int64_t kAmxSliceBytes = 768
                                          << 10;  // of a split row block and a pair of columns: half of L2
inline constexpr int64_t kAmxChunkBlocks = 16;    // 512 depths per partial sum: adding them stays cheap

struct AmxGemm {
  int64_t parts;  // of a number
  int64_t rows, columns, depth;
  Factor a, b;
  float* out;  // (rows, columns)
  Epilogue<float> epilogue;
  bool chunked;  // the depth may be cut; there must be no epilogue then
};

struct AmxGemmBlocking {
  int64_t pair_block, row_pairs, row_blocks, panels, column_runs, depth_blocks, chunks, slice;
  bool split_a_ahead, split_b_ahead;

  explicit AmxGemmBlocking(const AmxGemm& p)
      : pair_block(fc::cpu::FC_ISA::pair_block(p.parts)),
        row_pairs(ceil_div(p.rows, kPairLines)),
        row_blocks(ceil_div(row_pairs, kAmxBlockPairs)),
        panels(ceil_div(p.columns, kPairLines)),
        column_runs(1),
        depth_blocks(ceil_div(p.depth, kTileDepth)),
        chunks(1) {
    if (p.chunked && row_blocks * panels < kTasks) {
      chunks = max_of(min_of(ceil_div(kTasks, row_blocks), depth_blocks / kAmxChunkBlocks), 1);
    }
    column_runs = min_of(panels, ceil_div(kTasks, max_of(row_blocks * chunks, 1)));
    if (chunks > 1) column_runs = 1;
    split_a_ahead = column_runs > 1;
    split_b_ahead = row_blocks > 1;
    const int64_t block_bytes = (min_of(kAmxBlockPairs, row_pairs) + 1) * pair_block * 2;
    const int64_t most = max_of(kAmxSliceBytes / max_of(block_bytes, 1), 1);
    const int64_t chunk = max_of(ceil_div(depth_blocks, chunks), 1);
    slice = ceil_div(chunk, ceil_div(chunk, most));
  }

  Range pairs_of(int64_t row_block) const { return part_of(row_pairs, row_blocks, row_block); }
  Range panels_of(int64_t run) const { return part_of(panels, column_runs, run); }
  int64_t run_panels() const { return ceil_div(panels, column_runs); }
  int64_t block_pairs() const { return ceil_div(row_pairs, row_blocks); }
  bool sliced() const { return ceil_div(depth_blocks, chunks) > slice; }
};

struct AmxGemmWorkspace {
  Bfloat16 *a, *b;   // the factors, where they are split ahead: [pair][depth block]
  float* partial;    // [chunk][rows][columns]
  int32_t* refused;  // per thread: saw numbers that AMX must not see
  SlotWorkspace slots;

  struct Scratch {
    Bfloat16 *a, *b;
    float* sums;  // [row pair][panel][32][32]; a single one where the depth is not sliced
  };
  static Scratch scratch(const AmxGemmBlocking& k, WorkspaceCutter& cutter) {
    return {
        cutter.take<Bfloat16>(k.split_a_ahead ? 0 : k.block_pairs() * k.slice * k.pair_block),
        cutter.take<Bfloat16>(k.split_b_ahead ? 0 : k.slice * k.pair_block),
        cutter.take<float>((k.sliced() ? k.block_pairs() * k.run_panels() : 1) * kPairLines * kPairLines)};
  }

  AmxGemmWorkspace(const AmxGemm& p, const AmxGemmBlocking& k, int threads, void* base) {
    WorkspaceCutter cutter(base);
    a = cutter.take<Bfloat16>(k.split_a_ahead ? k.row_pairs * k.depth_blocks * k.pair_block : 0);
    b = cutter.take<Bfloat16>(k.split_b_ahead ? k.panels * k.depth_blocks * k.pair_block : 0);
    partial = cutter.take<float>(k.chunks > 1 ? k.chunks * p.rows * p.columns : 0);
    refused = cutter.take<int32_t>(threads);
    WorkspaceCutter one(nullptr);
    scratch(k, one);
    slots = SlotWorkspace(cutter, one.bytes(), threads);
  }
};

inline size_t amx_gemm_workspace(const AmxGemm& p, int threads) {
  return AmxGemmWorkspace(p, AmxGemmBlocking(p), threads, nullptr).slots.total_bytes;
}

// All of a factor with `lines` lines: to[pair][depth block].
inline void split_factor(const Factor& f, int64_t parts, int64_t lines, int64_t depth, Bfloat16* to,
                         int32_t* refused, int threads) {
  constexpr int64_t kRun = 8;  // blocks per task
  const int64_t blocks = ceil_div(depth, kTileDepth), runs = ceil_div(blocks, kRun);
  parallel_for_slots(threads, ceil_div(lines, kPairLines) * runs, [&](int64_t task, int slot) {
    const int64_t pair = task / runs, first = task % runs * kRun, line = pair * kPairLines;
    Splitter splitter(parts);
    split_pair(f, line, min_of(kPairLines, lines - line), depth, first, min_of(kRun, blocks - first),
               to + (pair * blocks + first) * pair_block(parts), splitter);
    refused[slot] |= !splitter.ordinary();
  });
}

// The part of a task that lies in one slice of the depth.
struct AmxGemmSlice {
  const AmxGemm& p;
  const AmxGemmBlocking& k;
  const AmxGemmWorkspace& workspace;
  const AmxGemmWorkspace::Scratch& scratch;
  Range pairs, panels, blocks;
  bool first, last;
  float* out;

  const Bfloat16* a(int64_t pair) const {
    return k.split_a_ahead ? workspace.a + (pair * k.depth_blocks + blocks.begin) * k.pair_block
                           : scratch.a + (pair - pairs.begin) * k.slice * k.pair_block;
  }

  void split_rows(Splitter& splitter) const {
    for (int64_t pair = pairs.begin; pair < pairs.end; ++pair) {
      split_pair(p.a, pair * kPairLines, min_of(kPairLines, p.rows - pair * kPairLines), p.depth,
                 blocks.begin, blocks.size(), scratch.a + (pair - pairs.begin) * k.slice * k.pair_block,
                 splitter);
    }
  }

  void multiply_panel(int64_t panel, Splitter& splitter) const {
    const int64_t column = panel * kPairLines, columns = min_of(kPairLines, p.columns - column);
    const Bfloat16* b = workspace.b + (panel * k.depth_blocks + blocks.begin) * k.pair_block;
    if (!k.split_b_ahead) {
      split_pair(p.b, column, columns, p.depth, blocks.begin, blocks.size(), scratch.b, splitter);
      b = scratch.b;
    }
    const int64_t no_jump = 0;
    for (int64_t pair = pairs.begin; pair < pairs.end; ++pair) {
      const int64_t row = pair * kPairLines, rows = min_of(kPairLines, p.rows - row);
      const int64_t index = k.sliced() ? (pair - pairs.begin) * k.run_panels() + panel - panels.begin : 0;
      float* sums = scratch.sums + index * kPairLines * kPairLines;
      multiply_split(rows, columns,
                     {p.parts, pair_stream(a(pair), p.parts), pair_stream(b, p.parts), &no_jump, 1,
                      blocks.size(), sums, !first});
      if (!last) continue;
      store_sums({sums, rows, out + row * p.columns, p.columns}, column, columns, p.epilogue);
    }
  }
};

inline bool amx_gemm(const AmxGemm& p, const Context& context) {
  const AmxGemmBlocking k(p);
  const AmxGemmWorkspace w(p, k, context.threads, context.workspace);
  for (int i = 0; i < context.threads; ++i) w.refused[i] = 0;
  if (k.split_a_ahead) split_factor(p.a, p.parts, p.rows, p.depth, w.a, w.refused, context.threads);
  if (k.split_b_ahead) split_factor(p.b, p.parts, p.columns, p.depth, w.b, w.refused, context.threads);
  if (any_refused(w.refused, context.threads)) return false;

  parallel_for_slots(context.threads, k.chunks * k.row_blocks * k.column_runs, [&](int64_t task, int slot) {
    const int64_t run = task % k.column_runs, row_block = task / k.column_runs % k.row_blocks;
    const int64_t chunk = task / k.column_runs / k.row_blocks;
    WorkspaceCutter cutter = w.slots.at(slot);
    const auto scratch = AmxGemmWorkspace::scratch(k, cutter);
    const Range depth = part_of(k.depth_blocks, k.chunks, chunk);
    float* out = k.chunks > 1 ? w.partial + chunk * p.rows * p.columns : p.out;
    const AmxSession session;
    Splitter splitter(p.parts);
    for (int64_t at = depth.begin; at < depth.end; at += k.slice) {
      const Range blocks{at, min_of(at + k.slice, depth.end)};
      const AmxGemmSlice slice{p,
                               k,
                               w,
                               scratch,
                               k.pairs_of(row_block),
                               k.panels_of(run),
                               blocks,
                               at == depth.begin,
                               blocks.end == depth.end,
                               out};
      if (!k.split_a_ahead) slice.split_rows(splitter);
      for (int64_t panel = slice.panels.begin; panel < slice.panels.end; ++panel)
        slice.multiply_panel(panel, splitter);
    }
    w.refused[slot] |= !splitter.ordinary();
  });
  if (any_refused(w.refused, context.threads)) return false;
  if (k.chunks > 1)
    tree_sum(w.partial, k.chunks, p.rows * p.columns, p.rows * p.columns, p.out, context.threads);
  return true;
}

}  // namespace fc::cpu::FC_ISA
