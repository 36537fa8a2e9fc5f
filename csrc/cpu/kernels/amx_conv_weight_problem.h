// amx_conv_weight_problem.h — a weight gradient on AMX tiles: how it is cut, and the memory it needs.
#pragma once

#include "cpu/kernels/amx_alone.h"
#include "cpu/kernels/amx_block.h"
#include "cpu/kernels/amx_weight_grid.h"
#include "cpu/kernels/workspace.h"

namespace fc::cpu::FC_ISA {

inline constexpr int64_t kAmxPartPairs = 2;  // a larger dw is cut into squares of 64 x 64 channels
// Per partial sum, so that adding them stays cheap; of a large dw, whose partial sums leave L2, more.
inline constexpr int64_t kAmxChunkNumbers = 512, kAmxLongChunkNumbers = 768, kAmxLargeSums = 256 << 10;
inline constexpr int64_t kAmxWeightTasks = 8;  // wanted, at the price of splitting ahead

// Two tiles of filters that are multiplied with the same tiles of cells.
struct ColumnPair {
  int64_t run[2], tile[2];
  int64_t count;  // 1 or 2
};

struct AmxConvWeight {
  IgemmWeight<float> p;
  AmxWeightGrid grid;

  AmxConvWeight(const IgemmWeight<float>& problem, int64_t parts) : p(problem), grid(problem, parts) {}

  int64_t row_pairs() const { return ceil_div(grid.channel_tiles, 2); }
  int64_t filter_pairs() const { return ceil_div(grid.column_tiles, 2); }

  // f(pair) under every run of taps: neighbours among the filters; of a last single one, two runs that read
  // the same remainder of x.
  template <class F>
  void for_each_column_pair(int64_t filter_pair, const F& f) const {
    const int64_t tile = 2 * filter_pair, runs = grid.runs();
    if (tile + 1 < grid.column_tiles) {
      for (int64_t run = 0; run < runs; ++run) f(ColumnPair{{run, run}, {tile, tile + 1}, 2});
      return;
    }
    for (int64_t set = 0; set < grid.remainders(); ++set) {
      int64_t waiting = -1;
      for (int64_t run = 0; run < runs; ++run) {
        if (grid.remainder(run) != set) continue;
        if (waiting < 0) {
          waiting = run;
        } else {
          f(ColumnPair{{waiting, run}, {tile, tile}, 2});
          waiting = -1;
        }
      }
      if (waiting >= 0) f(ColumnPair{{waiting, waiting}, {tile, tile}, 1});
    }
  }
};

struct AmxConvWeightBlocking {
  int64_t row_runs, column_runs, chunks;
  bool split_ahead;

  explicit AmxConvWeightBlocking(const AmxConvWeight& c) : row_runs(1), column_runs(1) {
    const AmxWeightGrid& g = c.grid;
    const int64_t rows = c.row_pairs(), columns = c.filter_pairs();
    const int64_t least = g.sums_bytes() > kAmxLargeSums ? kAmxLongChunkNumbers : kAmxChunkNumbers;
    const int64_t most_chunks = max_of(min_of(g.band * g.bands / least, g.bands), 1);
    if (g.sums_bytes() > kAmxPartBytes) {
      row_runs = ceil_div(rows, kAmxPartPairs), column_runs = ceil_div(columns, kAmxPartPairs);
      chunks = min_of(ceil_div(kAmxWeightTasks, g.groups * parts()), most_chunks);
    } else {
      chunks = min_of(ceil_div(kTasks, g.groups), most_chunks);
      if (chunks < kTasks) chunks = ceil_div(g.bands, ceil_div(g.bands, chunks));  // equally long
      const int64_t wanted = ceil_div(kAmxWeightTasks, chunks * g.groups);
      column_runs = min_of(columns, wanted), row_runs = min_of(rows, ceil_div(wanted, column_runs));
    }
    split_ahead = parts() > 1;
  }
  int64_t parts() const { return row_runs * column_runs; }
};

inline int threads_for(const AmxConvWeight& c, int threads) {
  const AmxWeightGrid& g = c.grid;
  const double bands = static_cast<double>(g.bands * g.groups);
  const double tiles =
      bands * static_cast<double>(g.runs() * g.channel_tiles * g.column_tiles * g.band_blocks());
  const double numbers =
      bands * static_cast<double>((g.x_size() + g.dy_size()) / g.parts) + static_cast<double>(c.p.weights());
  return serial_amx_ns(tiles, numbers, g.parts) < kWeightAloneNs ? 1 : threads;
}

struct AmxConvWeightWorkspace {
  Bfloat16 *x, *dy;  // [band][group], where they are split ahead
  float* partial;    // [chunk] of dw; dw itself where there is one
  float* dbias;      // [band][filter]
  int32_t* refused;
  SlotWorkspace slots;

  struct Scratch {
    float *strip, *sums;
    Bfloat16 *x, *dy;
  };
  static Scratch scratch(const AmxConvWeight& c, const AmxConvWeightBlocking& k, WorkspaceCutter& cutter) {
    const int64_t pairs =
        c.grid.runs() * ceil_div(c.row_pairs(), k.row_runs) * ceil_div(c.filter_pairs(), k.column_runs);
    return {cutter.take<float>(c.grid.merged ? kNumbers * c.grid.depth() : 0),
            cutter.take<float>(pairs * kPairSums), cutter.take<Bfloat16>(k.split_ahead ? 0 : c.grid.x_size()),
            cutter.take<Bfloat16>(k.split_ahead ? 0 : c.grid.dy_size())};
  }

  AmxConvWeightWorkspace(const AmxConvWeight& c, const AmxConvWeightBlocking& k, int threads, void* base) {
    WorkspaceCutter cutter(base);
    const int64_t ahead = k.split_ahead ? c.grid.bands * c.p.groups : 0;
    x = cutter.take<Bfloat16>(ahead * c.grid.x_size());
    dy = cutter.take<Bfloat16>(ahead * c.grid.dy_size());
    partial = k.chunks > 1 ? cutter.take<float>(k.chunks * c.p.weights()) : c.p.dw;
    dbias = cutter.take<float>(c.grid.bands * c.p.filters());
    refused = cutter.take<int32_t>(threads);
    WorkspaceCutter one(nullptr);
    scratch(c, k, one);
    slots = SlotWorkspace(cutter, one.bytes(), threads);
  }
};

inline size_t amx_conv_weight_workspace(const AmxConvWeight& c, int threads) {
  return AmxConvWeightWorkspace(c, AmxConvWeightBlocking(c), threads, nullptr).slots.total_bytes;
}

}  // namespace fc::cpu::FC_ISA
