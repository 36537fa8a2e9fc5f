// amx_conv_weight.h — weight and bias gradients of convolutions on AMX tiles.
//
// Math       dw[tap][c][k] = Σ_m x[number(m) + shift(tap)][c] · dy[m][k],  dbias[k] = Σ_m dy[m][k]; per group
// Blocking   a task owns a chunk of bands and a part of dw, whose sums stay in L2. Per band, a pair of tiles
//            of channels under every tap passes over the pairs of tiles of filters, a piece of the band
//            at a time; the sums of a large dw are stored meanwhile, see amx_store_ahead.h. Bands that
//            several tasks need are split ahead, by all threads
// Threads    over (chunk, group, part of dw), by shape alone; chunks are added in a fixed tree
// Numerics   as amx_tile.h, blocks of 32 numbers in ascending order within a chunk, then the tree. dbias:
//            float32 sums of 32 numbers, of a band, then the tree
// Workspace  amx_conv_weight_workspace(c, threads) bytes
// Edges      taps outside the image multiply zeros. False, and dw and dbias are left undefined, where x or dy
//            have infinities, NaN or very large numbers
#pragma once

#include "core/context.h"
#include "cpu/kernels/amx_conv_weight_problem.h"
#include "cpu/kernels/amx_store_ahead.h"
#include "cpu/kernels/tree_sum.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {

// A task's part of dw of one group, and its sums.
class AmxWeightPart {
 public:
  AmxWeightPart(const AmxConvWeight& c, int64_t group, Range row_pairs, Range filter_pairs, float* sums)
      : c_(c), group_(group), rows_(row_pairs), filters_(filter_pairs), sums_(sums) {}

  // Of the last band, the sums go to dw; else it is null.
  void add_band(const Bfloat16* x, const Bfloat16* dy, int64_t band_blocks, bool accumulate,
                float* dw) const {
    const AmxWeightGrid& g = c_.grid;
    const int64_t pieces = g.pieces(band_blocks);
    const bool large = g.sums_bytes() > kAmxPartBytes;  // so that storing is a sixth of the time
    if (pieces == 1 && large) return add_blocks(x, dy, band_blocks, accumulate, dw);
    for (int64_t i = 0; i < pieces; ++i, accumulate = true) {
      const Range blocks = part_of(band_blocks, pieces, i);
      add_blocks(x + blocks.begin * g.x_block(), dy + blocks.begin * g.dy_block(), blocks.size(), accumulate,
                 nullptr);
    }
    if (dw != nullptr) store(dw);  // between these products, it would drive their tiles out of L1
  }

 private:
  void add_blocks(const Bfloat16* x, const Bfloat16* dy, int64_t blocks, bool accumulate, float* dw) const {
    StoreAhead ahead(plain_);
    for_each_block([&](int64_t row, const ColumnPair& pair, float* out) {
      const AmxWeightGrid& g = c_.grid;
      const AmxStream a{x + g.x_start(pair.run[0]) + 2 * row * g.x_tile(), g.x_tile(), kTileSize,
                        g.x_block()};
      const Bfloat16* first = dy + pair.tile[0] * g.dy_tile() + g.dy_start(pair.run[0]);
      const Bfloat16* second = dy + pair.tile[1] * g.dy_tile() + g.dy_start(pair.run[1]);
      const AmxStream b{first, second - first, g.dy_part(), g.dy_block()};
      const int64_t no_jump = 0;
      const AmxProduct product{g.parts, a, b, &no_jump, 1, blocks, out, accumulate};
      const int64_t rows = min_of(g.channel_tiles - 2 * row, 2) * kTileLines;
      const int64_t columns = pair.count * kTileLines;
      if (dw == nullptr) return multiply_split(rows, columns, product);
      multiply_split(rows, columns, product, ahead);
      ahead.finish();
      begin_store(row, pair, out, kStepsOfBlock * blocks, dw, ahead);
    });
    ahead.finish();
  }

  void store(float* dw) const {
    StoreAhead whole(plain_);
    for_each_block([&](int64_t row, const ColumnPair& pair, const float* sums) {
      begin_store(row, pair, sums, 1, dw, whole);
      whole.finish();
    });
  }

  template <class F>
  void for_each_block(const F& f) const {
    float* next = sums_;
    for (int64_t row = rows_.begin; row < rows_.end; ++row) {
      for (int64_t filter = filters_.begin; filter < filters_.end; ++filter) {
        c_.for_each_column_pair(filter, [&](const ColumnPair& pair) {
          f(row, pair, next);
          next += kPairSums;
        });
      }
    }
  }

  void begin_store(int64_t row, const ColumnPair& pair, const float* sums, int64_t steps, float* dw,
                   StoreAhead& ahead) const {
    const int64_t depth = c_.grid.depth(), filters = c_.p.filters(), channel = row * kPairLines;
    const int64_t column = pair.tile[0] * kTileLines, rows = min_of(depth - channel, kPairLines);
    const bool neighbours = pair.tile[0] != pair.tile[1];
    ahead.begin_block(0, min_of(c_.p.columns - column, neighbours ? kPairLines : kTileLines));
    for (int64_t i = 0; i < (neighbours ? 1 : pair.count); ++i) {
      float* const to = dw + (pair.run[i] * depth + channel) * filters + group_ * c_.p.columns + column;
      ahead.add_rows({sums + i * kTileLines, rows, to, filters});
    }
    ahead.spread(steps);
  }

  const AmxConvWeight& c_;
  int64_t group_;
  Range rows_, filters_;  // pairs
  float* sums_;           // [row pair][filter pair][column pair][32][32]
  const Epilogue<float> plain_{};
};

// One call of amx_conv_weight: the steps it consists of.
struct AmxWeightCall {
  const AmxConvWeight& c;
  const AmxConvWeightBlocking& k;
  const AmxConvWeightWorkspace& w;

  float* dbias_of(int64_t band, int64_t group) const {
    return c.p.dbias != nullptr ? w.dbias + band * c.grid.filters + group * c.grid.columns : nullptr;
  }
  AmxConvWeightWorkspace::Scratch scratch(int slot) const {
    WorkspaceCutter cutter = w.slots.at(slot);
    return AmxConvWeightWorkspace::scratch(c, k, cutter);
  }

  void split_ahead(int threads) const {
    constexpr int64_t kRun = 4;  // tiles split by a task
    const AmxWeightGrid& g = c.grid;
    const int64_t x_runs = ceil_div(g.channel_tiles, kRun), runs = x_runs + ceil_div(g.column_tiles, kRun);
    parallel_for_slots(threads, g.bands * g.groups * runs, [&](int64_t task, int slot) {
      const int64_t i = task / runs, run = task % runs, band = i / g.groups, group = i % g.groups;
      Splitter splitter(g.parts);
      if (run < x_runs) {
        g.split_x(band, group, {run * kRun, min_of((run + 1) * kRun, g.channel_tiles)}, w.x + i * g.x_size(),
                  scratch(slot).strip, splitter);
      } else {
        const int64_t first = (run - x_runs) * kRun;
        g.split_dy(band, group, {first, min_of(first + kRun, g.column_tiles)}, w.dy + i * g.dy_size(),
                   dbias_of(band, group), splitter);
      }
      w.refused[slot] |= !splitter.ordinary();
    });
  }

  void add_chunk(int64_t chunk, int64_t group, int64_t part, int slot) const {
    const AmxWeightGrid& g = c.grid;
    const auto own = scratch(slot);
    const AmxWeightPart sums{c, group, part_of(c.row_pairs(), k.row_runs, part / k.column_runs),
                             part_of(c.filter_pairs(), k.column_runs, part % k.column_runs), own.sums};
    const Range bands = part_of(g.bands, k.chunks, chunk);
    const AmxSession session;
    Splitter splitter(g.parts);
    for (int64_t band = bands.begin; band < bands.end; ++band) {
      const int64_t i = band * g.groups + group;
      if (!k.split_ahead) {
        g.split_x(band, group, {0, g.channel_tiles}, own.x, own.strip, splitter);
        g.split_dy(band, group, {0, g.column_tiles}, own.dy, dbias_of(band, group), splitter);
      }
      sums.add_band(k.split_ahead ? w.x + i * g.x_size() : own.x,
                    k.split_ahead ? w.dy + i * g.dy_size() : own.dy, g.blocks_of(band), band > bands.begin,
                    band + 1 == bands.end ? w.partial + chunk * c.p.weights() : nullptr);
    }
    w.refused[slot] |= !splitter.ordinary();
  }
};

inline bool amx_conv_weight(const AmxConvWeight& c, const Context& context) {
  const AmxConvWeightBlocking k(c);
  const AmxConvWeightWorkspace w(c, k, context.threads, context.workspace);
  const AmxWeightCall call{c, k, w};
  const int64_t groups = c.grid.groups, parts = k.parts(), weights = c.p.weights(), filters = c.grid.filters;
  const int threads = threads_for(c, context.threads);
  for (int i = 0; i < context.threads; ++i) w.refused[i] = 0;
  if (k.split_ahead) call.split_ahead(threads);
  if (any_refused(w.refused, context.threads)) return false;

  parallel_for_slots(threads, k.chunks * groups * parts, [&](int64_t task, int slot) {
    call.add_chunk(task / parts / groups, task / parts % groups, task % parts, slot);
  });
  if (any_refused(w.refused, context.threads)) return false;
  if (k.chunks > 1) tree_sum(w.partial, k.chunks, weights, weights, c.p.dw, threads);
  if (c.p.dbias != nullptr) tree_sum(w.dbias, c.grid.bands, filters, filters, c.p.dbias, 1);
  return true;
}

}  // namespace fc::cpu::FC_ISA
