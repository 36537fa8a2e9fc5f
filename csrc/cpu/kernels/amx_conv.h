// amx_conv.h — implicit GEMM on AMX tiles: rows of an image grid times a filter, forward and backward input.
//
// Math       out[i][j] = epilogue(Σ_run Σ_d grid[number(i) + jump(run)][d] · B[run][d][j]); per group
// Blocking   a task owns a band of positions and a run of pairs of column tiles. 32 positions at a time pass
//            over some pairs, whose filters come from L2 like the band's grid. What else there is to do is done
//            between the products: amx_band.h
// Threads    over (band, group, run of columns), by shape alone; each output has one writer. Filters, and
//            bands that several tasks need, are split ahead, by all threads, but for small ones: every thread
//            splits these for itself. What another core has split comes slowly, and images one by one took
//            up to twice as long
// Numerics   as amx_tile.h, blocks of 32 depths in ascending order. Bits do not depend on N
// Workspace  amx_conv_workspace(p, threads) bytes
// Edges      taps outside the image multiply zeros. False, and `out` is left undefined, where image or filter
//            have infinities, NaN or very large numbers
// Tried      four tiles of rows where there is one of columns: the chains of sums do not wait, no faster;
//            fetching the lines of results early: the same; fetching the next band's image meanwhile: up to
//            15 % in a loop of one call, nothing in a step; streaming stores: 5 % faster here, a fifth slower
//            in what reads the results.
// Not tried  minimal filtering on tiles: its error takes three parts, twice the products, and 32 tiles would
//            want 16 bytes of transformed filters a cycle, more than L3 gives. Predicted: 1.1 to 1.3 times as
//            fast
#pragma once

#include <optional>

#include "core/context.h"
#include "cpu/kernels/amx_band.h"
#include "cpu/parallel.h"

namespace fc::cpu::FC_ISA {

struct AmxConvWorkspace {
  // What a thread's scratch memory holds, from task to task: a band of a group, and panels from that one on.
  struct alignas(64) Held {
    int64_t band, panels;
  };
  Bfloat16 *bands, *filter;  // [band][group][part][…], [group][panel][block], where they are split ahead
  double* gathered;          // [band][2][column]
  int64_t* jumps;
  int32_t* refused;
  Held* held;
  SlotWorkspace slots;

  struct Scratch {
    Bfloat16 *band, *panels;
    float* sums;
  };
  template <class Grid>
  static Scratch scratch(const AmxConv<Grid>& c, const AmxConvBlocking& k, WorkspaceCutter& cutter) {
    return {cutter.take<Bfloat16>(k.split_bands_ahead ? 0 : c.grid.parts * c.grid.plane),
            cutter.take<Bfloat16>(k.own_panels * k.panel_size), cutter.take<float>(2 * kPairSums)};
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
    held = cutter.take<Held>(threads);
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
inline void split_filter(const AmxConv<Grid>& c, const AmxConvBlocking& k, int64_t group, Range panels,
                         Bfloat16* to, Splitter& splitter) {
  for (int64_t panel = panels.begin; panel < panels.end; ++panel, to += k.panel_size) {
    for (int64_t run = 0; run < c.grid.runs(); ++run) split_run_filter(c, group, panel, run, to, splitter);
  }
}

template <class Grid>
inline bool amx_conv(const AmxConv<Grid>& c, const Context& context) {
  const AmxConvBlocking k(c);
  const AmxConvWorkspace w(c, k, context.threads, context.workspace);
  const Grid& g = c.grid;
  const int64_t groups = c.p.groups;
  for (int64_t i = 0; i < g.runs(); ++i) w.jumps[i] = g.jump(i);
  for (int i = 0; i < context.threads; ++i) w.refused[i] = 0, w.held[i] = {-1, -1};

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
      BandFilling<Grid>(g, g.band(i / groups), c.p.rows.image + group * g.channels,
                        w.bands + i * g.parts * g.plane, splitter)
          .finish();
    }
    if (!splitter.ordinary()) w.refused[slot] = 1;
  });
  if (any_refused(w.refused, context.threads)) return false;

  const int threads = threads_for(c, k, context.threads);
  parallel_for_slots(threads, g.bands * groups * k.column_runs, [&](int64_t task, int slot) {
    const int64_t run = task % k.column_runs, i = task / k.column_runs, group = i % groups;
    const Band band = g.band(i / groups);
    WorkspaceCutter cutter = w.slots.at(slot);
    const auto scratch = AmxConvWorkspace::scratch(c, k, cutter);
    AmxConvWorkspace::Held& held = w.held[slot];
    const AmxSession session;
    Splitter splitter(g.parts);
    const Bfloat16* const grid = k.split_bands_ahead ? w.bands + i * g.parts * g.plane : scratch.band;
    std::optional<BandFilling<Grid>> filling;
    if (!k.split_bands_ahead && held.band != i) {
      filling.emplace(g, band, c.p.rows.image + group * g.channels, scratch.band, splitter);
      held.band = i;
    }
    const auto filters_from = [&](int64_t panel) -> const Bfloat16* {
      if (k.split_filter_ahead) return w.filter + (group * k.panels + panel) * k.panel_size;
      const int64_t first = panel - panel % k.own_panels, wanted = group * k.panels + first;
      if (held.panels != wanted) {
        split_filter(c, k, group, {first, first + k.own_panels}, scratch.panels, splitter);
        held.panels = wanted;
      }
      return scratch.panels + (panel - first) * k.panel_size;
    };
    const BandProduct<Grid> product(c, k, band, group, w.jumps, grid, scratch.sums);
    const Range panels = part_of(k.panels, k.column_runs, run);
    const int64_t at_once = k.own_panels == 1 ? 1 : BandProduct<Grid>::kPanels;
    for (int64_t panel = panels.begin; panel < panels.end; panel += at_once) {
      product.multiply({panel, min_of(panel + at_once, panels.end)}, filters_from(panel),
                       filling && panel == panels.begin ? &*filling : nullptr,
                       w.gathered + i / groups * 2 * c.p.columns);
    }
    if (!splitter.ordinary()) w.refused[slot] = 1;
  });
  if (any_refused(w.refused, context.threads)) return false;
  if (c.gather.wanted()) {
    merge_bands(c.gather, g.bands, c.p.columns, w.gathered,
                [&](int64_t band) { return rows_of(c, g.band(band)); });
  }
  return true;
}

}  // namespace fc::cpu::FC_ISA
