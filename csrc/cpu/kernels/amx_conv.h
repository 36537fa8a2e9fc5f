// amx_conv.h — implicit GEMM on AMX tiles: rows of an image grid times a filter, forward and backward input.
//
// Math       out[i][j] = epilogue(Σ_run Σ_d grid[number(i) + jump(run)][d] · B[run][d][j]); per group
// Blocking   a task owns a band of positions and a run of pairs of column tiles. Per pair, all of its filter
//            passes from L2 over the band, also in L2, 32 positions at a time
// Threads    over (band, group, run of columns), by shape alone; each output has one writer. Filters, and
//            bands that several tasks need, are split ahead, by all threads
// Numerics   as amx_tile.h, blocks of 32 depths in ascending order. Bits do not depend on N
// Workspace  amx_conv_workspace(p, threads) bytes
// Edges      taps outside the image multiply zeros. False, and `out` is left undefined, where image or filter
//            have infinities, NaN or very large numbers
// Tried      four tiles of rows where there is one of columns: the chains of sums do not wait, no faster;
//            splitting between tile products: hardly overlaps; fetching the lines of results early: the same;
//            fetching the next band's image meanwhile: up to 15 % in a loop of one call, nothing in a step;
//            streaming stores: 5 % faster here, a fifth slower in what reads the results.
// Not tried  minimal filtering on tiles: its error takes three parts, twice the products, and 32 tiles would want
//            16 bytes of transformed filters a cycle, more than L3 gives. Predicted: 1.1 to 1.3 times as fast
#pragma once

#include "core/context.h"
#include "cpu/kernels/amx_folded.h"
#include "cpu/kernels/amx_store_ahead.h"
#include "cpu/kernels/fetch_ahead.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {

// B[run][d][j] of a group, and the layout of a filter whose taps are taken in any even sequence.
struct AmxFilter {
  const float* w;
  int64_t line_stride, depth_stride;  // from column to column, and from depth to depth; one of them is 1
  int64_t group;                      // from group to group
  int64_t first, step_h, step_w;      // of the taps: where the first is, and how far the next ones are

  Factor factor(const AmxGrid& g, int64_t group_index, int64_t run) const {
    const int64_t tap = first + (g.merged ? run * step_h : run / g.w.taps * step_h + run % g.w.taps * step_w);
    return {w + group_index * group + tap, line_stride, depth_stride, true};
  }
  Factor factor(const FoldedGrid&, int64_t group_index, int64_t run) const {
    return {w + group_index * group + first + run * step_w, line_stride, depth_stride, true};
  }
};

template <class Grid>  // AmxGrid or FoldedGrid
struct AmxConv {
  Igemm<float> p;  // its filter is not read
  Grid grid;
  AmxFilter filter;
  Gather gather{};  // of one group
};

struct AmxConvBlocking {
  int64_t panels, column_runs, blocks;  // blocks: of depth, over all runs
  int64_t panel_size;                   // elements of a split panel
  bool split_bands_ahead, split_filter_ahead;

  template <class Grid>
  explicit AmxConvBlocking(const AmxConv<Grid>& c)
      : panels(ceil_div(c.p.columns, kPairLines)),
        column_runs(min_of(panels, ceil_div(kTasks, max_of(c.grid.bands * c.p.groups, 1)))),
        blocks(c.grid.runs() * c.grid.run_blocks()) {
    if (c.grid.bands * c.p.groups >= kAmxBands / 3) column_runs = 1;
    panel_size = blocks * pair_block(c.grid.parts);
    split_bands_ahead = column_runs > 1;
    split_filter_ahead = c.grid.bands > 1;
  }
};

struct AmxConvWorkspace {
  Bfloat16 *bands, *filter;  // [band][group][part][…], [group][panel][block], where they are split ahead
  double* gathered;          // [band][2][column]
  int64_t* jumps;
  int32_t* refused;
  SlotWorkspace slots;

  struct Scratch {
    Bfloat16 *band, *panel;
    float* sums;
  };
  template <class Grid>
  static Scratch scratch(const AmxConv<Grid>& c, const AmxConvBlocking& k, WorkspaceCutter& cutter) {
    return {cutter.take<Bfloat16>(k.split_bands_ahead ? 0 : c.grid.parts * c.grid.plane),
            cutter.take<Bfloat16>(k.split_filter_ahead ? 0 : k.panel_size),
            cutter.take<float>(2 * kPairSums)};
  }

  template <class Grid>
  AmxConvWorkspace(const AmxConv<Grid>& c, const AmxConvBlocking& k, int threads, void* base) {
    WorkspaceCutter cutter(base);
    bands = cutter.take<Bfloat16>(
        k.split_bands_ahead ? c.grid.bands * c.p.groups * c.grid.parts * c.grid.plane : 0);
    filter = cutter.take<Bfloat16>(k.split_filter_ahead ? c.p.groups * k.panels * k.panel_size : 0);
    gathered = cutter.take<double>(c.gather.wanted() ? c.grid.bands * 2 * c.p.columns : 0);
    jumps = cutter.take<int64_t>(c.grid.runs());
    refused = cutter.take<int32_t>(threads);
    WorkspaceCutter one(nullptr);
    scratch(c, k, one);
    slots = SlotWorkspace(cutter, one.bytes(), threads);
  }
};

template <class Grid>
inline size_t amx_conv_workspace(const AmxConv<Grid>& c, int threads) {
  return AmxConvWorkspace(c, AmxConvBlocking(c), threads, nullptr).slots.total_bytes;
}

// Blocks of depth [run's first, …) of one panel.
template <class Grid>
inline void split_run_filter(const AmxConv<Grid>& c, int64_t group, int64_t panel, int64_t run, Bfloat16* to,
                             Splitter& splitter) {
  const int64_t column = panel * kPairLines, blocks = c.grid.run_blocks();
  Factor f = c.filter.factor(c.grid, group, run);
  split_pair(f, column, min_of(kPairLines, c.p.columns - column), c.grid.run_depth(), 0, blocks,
             to + run * blocks * pair_block(c.grid.parts), splitter);
}

template <class Grid>
inline int64_t rows_of(const AmxConv<Grid>& c, const Band& band) {
  return band.images * band.lines * c.p.rows.w.positions;
}

// What happens between the products of a block: the one before is stored, what its own epilogue reads is
// fetched.
struct BandAhead {
  StoreAhead store;
  FetchAhead fetch;

  FC_INLINE void step() {
    store.step();
    fetch.step();
  }
};

template <class Grid>
inline void multiply_band(const AmxConv<Grid>& c, const AmxConvBlocking& k, const Band& band, int64_t group,
                          int64_t panel, const int64_t* jumps, const Bfloat16* grid, const Bfloat16* filter,
                          float* sums, double* gathered) {
  const Grid& g = c.grid;
  const int64_t numbers = g.numbers(band), column = panel * kPairLines;
  const int64_t columns = min_of(kPairLines, c.p.columns - column);
  const Epilogue<float> epilogue = c.p.epilogue.from_column(group * c.p.columns);
  const auto sums_of = [&](int64_t first) { return sums + first / kPairLines % 2 * kPairSums; };
  const auto out_of = [&](int64_t image, int64_t line, int64_t q) {
    return c.p.out + group * c.p.columns + image * c.p.out_image + line * c.p.out_h + q * c.p.out_w;
  };
  PanelGather gather(c.gather, column, columns);
  BandAhead ahead{{column, columns, epilogue, gather}, FetchAhead(columns)};
  if (c.gather.x != nullptr) {  // beside one array alone the processor's own prefetching is faster
    ahead.fetch.add_array(epilogue.gate.values, epilogue.gate.dx);
    ahead.fetch.add_array(epilogue.addend.values, epilogue.addend.results);
    ahead.fetch.add_array(c.gather.x, c.gather.results);
  }
  const int64_t steps = kStepsOfBlock * k.blocks;
  const auto finish_block = [&] {
    ahead.store.finish();
    if (gather.wanted()) gather.close_block();
  };
  for (int64_t first = 0; first < numbers; first += kPairLines) {
    const AmxStream a{grid + first * g.step(), kTileLines * g.step(), g.plane, kTileDepth,
                      g.step() * static_cast<int64_t>(sizeof(Bfloat16))};
    const AmxProduct product{g.parts,        a,        pair_stream(filter, g.parts),
                             jumps,          g.runs(), k.blocks / g.runs(),
                             sums_of(first), false};
    if (ahead.fetch.wanted()) {
      ahead.fetch.begin_block();
      g.for_each_run(band, first, [&](int64_t, int64_t n, int64_t image, int64_t line, int64_t q) {
        ahead.fetch.add_rows(out_of(image, line, q) + column, n, c.p.out_w);
      });
      ahead.fetch.spread(steps);
    }
    if (columns > kTileLines) {  // a single column tile waits for its operands: stores would be in their way
      multiply_split(numbers - first, columns, product, ahead);
    } else if (ahead.fetch.wanted()) {
      multiply_split(numbers - first, columns, product, ahead.fetch);
    } else {
      multiply_split(numbers - first, columns, product);
    }
    finish_block();
    ahead.store.begin_block();
    g.for_each_run(band, first, [&](int64_t i, int64_t n, int64_t image, int64_t line, int64_t q) {
      ahead.store.add_rows({sums_of(first) + i * kPairLines, n, out_of(image, line, q), c.p.out_w});
    });
    ahead.store.spread(steps);
  }
  finish_block();
  if (gather.wanted()) gather.store_totals(rows_of(c, band), gathered, c.p.columns);
}

template <class Grid>
inline bool amx_conv(const AmxConv<Grid>& c, const Context& context) {
  const AmxConvBlocking k(c);
  const AmxConvWorkspace w(c, k, context.threads, context.workspace);
  const Grid& g = c.grid;
  const int64_t groups = c.p.groups;
  for (int64_t i = 0; i < g.runs(); ++i) w.jumps[i] = g.jump(i);
  for (int i = 0; i < context.threads; ++i) w.refused[i] = 0;

  const int64_t filters = k.split_filter_ahead ? groups * k.panels * g.runs() : 0;
  const int64_t bands = k.split_bands_ahead ? g.bands * groups : 0;
  parallel_for_slots(context.threads, filters + bands, [&](int64_t task, int slot) {
    Splitter splitter(g.parts);
    if (task < filters) {
      const int64_t panel = task / g.runs();
      split_run_filter(c, panel / k.panels, panel % k.panels, task % g.runs(),
                       w.filter + panel * k.panel_size, splitter);
    } else {
      const int64_t i = task - filters, group = i % groups;
      g.split(g.band(i / groups), c.p.rows.image + group * g.channels, w.bands + i * g.parts * g.plane,
              splitter);
    }
    w.refused[slot] |= !splitter.ordinary();
  });
  if (any_refused(w.refused, context.threads)) return false;

  parallel_for_slots(context.threads, g.bands * groups * k.column_runs, [&](int64_t task, int slot) {
    const int64_t run = task % k.column_runs, i = task / k.column_runs, group = i % groups;
    const Band band = g.band(i / groups);
    WorkspaceCutter cutter = w.slots.at(slot);
    const auto scratch = AmxConvWorkspace::scratch(c, k, cutter);
    const AmxSession session;
    Splitter splitter(g.parts);
    const Bfloat16* grid = w.bands + i * g.parts * g.plane;
    if (!k.split_bands_ahead) {
      g.split(band, c.p.rows.image + group * g.channels, scratch.band, splitter);
      grid = scratch.band;
    }
    const Range panels = part_of(k.panels, k.column_runs, run);
    for (int64_t panel = panels.begin; panel < panels.end; ++panel) {
      const Bfloat16* filter = w.filter + (group * k.panels + panel) * k.panel_size;
      if (!k.split_filter_ahead) {
        for (int64_t r = 0; r < g.runs(); ++r) split_run_filter(c, group, panel, r, scratch.panel, splitter);
        filter = scratch.panel;
      }
      multiply_band(c, k, band, group, panel, w.jumps, grid, filter, scratch.sums,
                    w.gathered + i / groups * 2 * c.p.columns);
    }
    w.refused[slot] |= !splitter.ordinary();
  });
  if (any_refused(w.refused, context.threads)) return false;
  if (c.gather.wanted()) {
    merge_bands(c.gather, g.bands, c.p.columns, w.gathered,
                [&](int64_t band) { return rows_of(c, g.band(band)); });
  }
  return true;
}

}  // namespace fc::cpu::FC_ISA
