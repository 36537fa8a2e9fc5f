// igemm_filter.h — the matrix B of igemm.h: where a filter's elements lie, and how they are packed.
//
// Packed, B is [group][panel][tap][element][width]: a tile reads it from front to back, in whole, aligned
// vectors. Several row blocks share one packed copy, made ahead by all threads; of a single one, the first
// tile that reads a block of B packs it for the others (tile.h), or a pass does before it where B is transposed.
#pragma once

#include "cpu/kernels/pack.h"
#include "cpu/kernels/workspace.h"
#include "cpu/parallel.h"
#include "cpu/simd/stream.h"

namespace fc::cpu::FC_ISA {

// How the columns of B are cut: whole vectors, in panels of at most `most`, as equal as can be.
template <class T>
struct Panels {
  int64_t columns, vectors, count;

  explicit Panels(int64_t columns, int64_t most = kTileVectors)
      : columns(columns), vectors(ceil_div(columns, kLanes<T>)), count(ceil_div(vectors, most)) {}

  Range vectors_of(int64_t panel) const { return part_of(vectors, count, panel); }
  int64_t width_of(int64_t panel) const { return vectors_of(panel).size() * kLanes<T>; }
  int64_t most_width() const { return ceil_div(vectors, max_of(count, 1)) * kLanes<T>; }
  int64_t column_of(int64_t panel) const { return min_of(vectors * panel / count * kLanes<T>, columns); }
  int64_t columns_of(int64_t panel) const { return column_of(panel + 1) - column_of(panel); }
};

// A block of B: taps [tap, tap + taps), elements [offset, offset + depth) of each, under one panel.
struct FilterBlock {
  int64_t panel, tap, taps, offset, depth;
  bool first, last;  // of the panel's sums
};

// B[tap][element][column] = w[tap / taps_w * tap_h + tap % taps_w * tap_w + element * row + column * across],
// plus `group` for each group. Either `row` or `across` is 1.
template <class T>
struct Filter {
  const T* w;
  int64_t taps_w, tap_h, tap_w;
  int64_t row, across, group;

  bool transposed() const { return across != 1; }
  // Whether B lies there as it is: every row a run, one behind the other, tap behind tap. Not so the taps of
  // a backward pass, which go backwards or leave some out, although with a single filter `across` is 1, too.
  bool in_order(int64_t taps, int64_t depth) const {
    const int64_t tap = depth * row;
    return !transposed() && (taps == 1 || (tap_h == taps_w * tap && (taps_w == 1 || tap_w == tap)));
  }
  const T* at(int64_t group_index, int64_t tap, int64_t element, int64_t column) const {
    return w + group_index * group + tap / taps_w * tap_h + tap % taps_w * tap_w + element * row +
           column * across;
  }

  // One block under one panel.
  void pack(const Panels<T>& panels, int64_t group_index, const FilterBlock& d, T* to) const {
    const int64_t column = panels.column_of(d.panel), columns = panels.columns_of(d.panel),
                  width = panels.width_of(d.panel);
    for (int64_t tap = d.tap; tap < d.tap + d.taps; ++tap, to += d.depth * width) {
      const T* from = at(group_index, tap, d.offset, column);
      if (transposed()) {
        pack_transposed(from, across, d.depth, columns, width, to);
      } else {
        pack_rows(from, row, d.depth, columns, width, to);
      }
    }
  }

  // Asks for part `i` of `parts` of a block that is going to be packed: in pieces of 256 bytes the processor
  // does not see it coming.
  FC_INLINE void prefetch(const Panels<T>& panels, int64_t group_index, const FilterBlock& d, int64_t parts,
                          int64_t i) const {
    const int64_t column = panels.column_of(d.panel), columns = panels.columns_of(d.panel);
    const int64_t runs = transposed() ? columns : d.depth, length = transposed() ? d.depth : columns;
    const int64_t step = transposed() ? across : row;
    const Range part = part_of(d.taps * runs, parts, i);
    for (int64_t begin = part.begin; begin < part.end;) {  // tap by tap: a division costs as much as a run
      const int64_t tap = begin / runs, first = begin - tap * runs,
                    last = min_of(runs, first + part.end - begin);
      const T* const from = at(group_index, d.tap + tap, d.offset, column);
      for (int64_t run = first; run < last; ++run) prefetch_run<0, 2>(from + run * step, length);
      begin += last - first;
    }
  }
};

// All of B, packed by all threads.
template <class T>
struct PackedFilter {
  T* b;
  bool* piece_is_finite;
  int64_t groups, taps, depth, piece_depth, pieces;  // pieces of a tap under a panel

  PackedFilter(const Panels<T>& panels, int64_t groups, int64_t taps, int64_t depth, WorkspaceCutter& cutter)
      : groups(groups), taps(taps), depth(depth) {
    piece_depth = kPackDepth;
    pieces = ceil_div(depth, piece_depth);
    b = cutter.take<T>(groups * panels.vectors * kLanes<T> * taps * depth);
    piece_is_finite = cutter.take<bool>(groups * panels.count * taps * pieces);
  }

  const T* at(const Panels<T>& panels, int64_t group, int64_t panel, int64_t tap, int64_t element) const {
    return b + ((group * panels.vectors + panels.vectors_of(panel).begin) * kLanes<T>)*taps * depth +
           (tap * depth + element) * panels.width_of(panel);
  }

  // Returns whether all of B is finite.
  bool fill(const Filter<T>& filter, const Panels<T>& panels, int threads) const {
    const int64_t tasks = groups * panels.count * taps * pieces;
    parallel_for(
        threads_for_copying(tasks * piece_depth * panels.most_width(), threads), tasks, [&](int64_t task) {
          const int64_t offset = task % pieces * piece_depth, tap = task / pieces % taps;
          const int64_t panel = task / pieces / taps % panels.count,
                        group = task / pieces / taps / panels.count;
          const FilterBlock d{panel, tap, 1, offset, min_of(piece_depth, depth - offset), false, false};
          T* const to = const_cast<T*>(at(panels, group, panel, tap, offset));
          filter.pack(panels, group, d, to);
          piece_is_finite[task] = all_finite(to, d.depth * panels.width_of(panel));
        });
    bool finite = true;
    for (int64_t i = 0; i < tasks; ++i) finite = finite && piece_is_finite[i];
    return finite;
  }
};

}  // namespace fc::cpu::FC_ISA
