// amx_lines_weight.h — gradients of the filter and the bias of few input channels, on AMX tiles.
//
// Math       dw[r,s,c][k] = Σ_lines Σ_q patch[r,s,c][q] · dy[q][k],  dbias[k] = Σ dy[k]
// Shapes     as conv2d_backward_weight.cpp, one group, no dilation between filter rows
// Blocking   every line of the image becomes S·C rows of bfloat16 parts: row (s,c) holds, at q, the number
//            that tap s reads there in channel c. The rows of R neighbouring lines, one behind the other, are
//            the left factor of a line of results, as tiles take it; dy's line is the right one. A task owns
//            a chunk of lines; a band of them, in L2, passes through every pair of tiles of dw
// Threads    over chunks, by shape alone, added in a fixed tree
// Numerics   as amx_tile.h, blocks of 32 positions in ascending order; dbias: float32, line by line
// Workspace  lines_weight_workspace(p, threads) bytes
// Edges      taps outside the image multiply zeros. False, and nothing useful in dw, where x or dy have
//            infinities, NaN or very large numbers
#pragma once

#include "core/context.h"
#include "cpu/kernels/add_rows.h"
#include "cpu/kernels/amx_block.h"
#include "cpu/kernels/amx_picks.h"
#include "cpu/kernels/axis.h"
#include "cpu/kernels/tree_sum.h"
#include "cpu/kernels/workspace.h"

namespace fc::cpu::FC_ISA {

inline constexpr int64_t kLinesBandBytes = 512 << 10;  // both factors of a band stay in L2

struct AmxLinesWeight {
  const Conv2dSpec& s;
  int64_t parts, terms, blocks, row, line_rows;  // row: elements, whole blocks; line_rows: of a line of x
  int64_t pairs, panels, chunks, band_lines;
  int64_t shifted_size, strip_size, plane, panel_size;

  AmxLinesWeight(const Conv2dSpec& spec, int64_t number_parts)
      : s(spec),
        parts(number_parts),
        terms(s.R * s.S * s.C),
        blocks(ceil_div(s.Q, kTileDepth)),
        row(blocks * kTileDepth),
        line_rows(s.S * s.C),
        pairs(ceil_div(terms, kPairLines)),
        panels(ceil_div(s.K, kPairLines)),
        chunks(max_of(min_of(lines() / 8, kTasks), 1)) {
    const int64_t bytes = row * parts * static_cast<int64_t>(sizeof(Bfloat16));
    const int64_t left = bytes * line_rows, right = bytes * panels * kPairLines;
    band_lines =
        min_of((kLinesBandBytes - left * s.R) / (left * s.stride_h + right), ceil_div(lines(), chunks));
    band_lines = max_of(band_lines, 1);
    shifted_size = round_up(row + (s.S - 1) * s.dilation_w / s.stride_w, kTileDepth);
    strip_size = shifted_size * s.stride_w * s.C + kTileDepth;
    plane = (image_lines(band_lines) * line_rows + kPairLines) * row;
    panel_size = band_lines * blocks * pair_block(parts);
  }

  int64_t lines() const { return s.N * s.P; }
  int64_t image_lines(int64_t lines) const { return (lines - 1) * s.stride_h + s.R; }
  int64_t sums_size() const { return (terms + 1) * s.K; }  // dw's and dbias's
  int64_t most_picks() const { return min_of(s.stride_w * s.C, kTileDepth); }
};

struct AmxLinesWorkspace {
  Pick* picks;  // of a row from a strip, for 32 positions
  int64_t* jumps;
  float* partial;  // [chunk][terms + 1][K]
  int32_t* refused;
  SlotWorkspace slots;

  struct Scratch {
    Bfloat16 *strip, *planes, *left, *right;  // [part][cell][channel], [part][remainder][channel][q],
                                              // [part][line][s][c][q], [panel][line][block]…
    float* sums;                              // [pair][panel][32][32]
    Scratch(const AmxLinesWeight& p, WorkspaceCutter& cutter)
        : strip(cutter.take<Bfloat16>(p.parts * p.strip_size)),
          planes(cutter.take<Bfloat16>(p.parts * p.s.C * p.s.stride_w * p.shifted_size)),
          left(cutter.take<Bfloat16>(p.parts * p.plane)),
          right(cutter.take<Bfloat16>(p.panels * p.panel_size)),
          sums(cutter.take<float>(p.pairs * p.panels * kPairSums)) {}
  };

  AmxLinesWorkspace(const AmxLinesWeight& p, int threads, void* base) {
    WorkspaceCutter cutter(base);
    picks = cutter.take<Pick>(p.most_picks());
    jumps = cutter.take<int64_t>(p.band_lines);
    partial = cutter.take<float>(p.chunks * p.sums_size());
    refused = cutter.take<int32_t>(threads);
    WorkspaceCutter one(nullptr);
    Scratch(p, one);
    slots = SlotWorkspace(cutter, one.bytes(), threads);
  }
};

inline size_t lines_weight_workspace(const AmxLinesWeight& p, int threads) {
  return AmxLinesWorkspace(p, threads, nullptr).slots.total_bytes;
}

// What one thread does with its chunks.
class AmxLinesTask {
 public:
  AmxLinesTask(const AmxLinesWeight& p, const AmxLinesWorkspace& w, int slot)
      : p_(p), s_(p.s), w_(w), scratch_(scratch(p, w, slot)), splitter_(p.parts) {
    for (int64_t i = 0; i < p.parts * p.strip_size; ++i) scratch_.strip[i] = 0;
  }
  bool ordinary() const { return splitter_.ordinary(); }

  void add_chunk(const float* x, const float* dy, Range lines, float* partial) {
    float* const bias = partial + p_.terms * s_.K;
    for (int64_t k = 0; k < s_.K; ++k) bias[k] = 0;
    bool first = true;
    for (int64_t line = lines.begin, end; line < lines.end; line = end, first = false) {
      const int64_t n = line / s_.P, p = line % s_.P;
      end = min_of(min_of(line + p_.band_lines, (n + 1) * s_.P), lines.end);
      split_left(x + n * s_.H * s_.W * s_.C, p, end - line);
      split_right(dy + line * s_.Q * s_.K, end - line, bias);
      multiply(end - line, !first);
    }
    for (int64_t pair = 0; pair < p_.pairs; ++pair) {
      for (int64_t panel = 0; panel < p_.panels; ++panel) {
        const int64_t row = pair * kPairLines, column = panel * kPairLines;
        store_sums({sums(pair, panel), min_of(kPairLines, p_.terms - row), partial + row * s_.K, s_.K},
                   column, min_of(kPairLines, s_.K - column), {});
      }
    }
  }

 private:
  static AmxLinesWorkspace::Scratch scratch(const AmxLinesWeight& p, const AmxLinesWorkspace& w, int slot) {
    WorkspaceCutter cutter = w.slots.at(slot);
    return {p, cutter};
  }
  float* sums(int64_t pair, int64_t panel) const {
    return scratch_.sums + (pair * p_.panels + panel) * kPairSums;
  }

  // The rows of all lines of an image that the lines p … p + lines - 1 of dy read.
  void split_left(const float* image, int64_t p, int64_t lines) {
    Bfloat16* to = scratch_.left;
    for (int64_t i = 0; i < p_.image_lines(lines); ++i, to += p_.line_rows * p_.row) {
      const int64_t h = p * s_.stride_h - s_.pad_top + i;
      if (h < 0 || h >= s_.H) {
        for (int64_t part = 0; part < p_.parts; ++part)
          std::memset(to + part * p_.plane, 0, static_cast<size_t>(p_.line_rows * p_.row) * sizeof(Bfloat16));
        continue;
      }
      fill_strip(image + h * s_.W * s_.C);
      p_.parts == 2 ? spread_strip<2>(to) : spread_strip<3>(to);
    }
  }

  // Beyond the line, the strip keeps its zeros.
  void fill_strip(const float* line) {
    const int64_t begin = s_.pad_left * s_.C;
    const int64_t size = min_of(s_.W * s_.C, p_.strip_size - kTileDepth - begin);
    for (int64_t i = 0; i < size; i += kTileDepth)
      splitter_.run(line + i, size - i, scratch_.strip + begin + i, p_.strip_size);
  }

  // The strip's channels and remainders one by one, then the rows, shifted by their taps.
  template <int kParts>
  void spread_strip(Bfloat16* to) const {
    const int64_t C = s_.C, step = s_.stride_w;
    for (int64_t plane = 0; plane < C * step; ++plane) {
      const Bfloat16* from = scratch_.strip + plane;
      Bfloat16* const shifted = scratch_.planes + plane * p_.shifted_size;
      for (int64_t i = 0; i < p_.shifted_size; i += kTileDepth, from += kTileDepth * step * C) {
        const Pick* pick = w_.picks;
        gather_picks<kParts>(from, p_.strip_size, shifted + i, C * step * p_.shifted_size, pick);
      }
    }
    for (int64_t tap = 0; tap < s_.S; ++tap) {
      for (int64_t c = 0; c < C; ++c, to += p_.row) {
        const int64_t at = tap * s_.dilation_w, plane = at % step * C + c;
        const Bfloat16* from = scratch_.planes + plane * p_.shifted_size + at / step;
        for (int part = 0; part < kParts; ++part, from += C * step * p_.shifted_size) {
          for (int64_t i = 0; i < p_.row; i += kTileDepth)
            std::memcpy(to + part * p_.plane + i, from + i, kTileDepth * sizeof(Bfloat16));
        }
      }
    }
  }

  void split_right(const float* dy, int64_t lines, float* bias) {
    for (int64_t i = 0; i < lines; ++i, dy += s_.Q * s_.K) {
      const Factor line{dy, 1, s_.K, true};
      for (int64_t panel = 0; panel < p_.panels; ++panel) {
        const int64_t column = panel * kPairLines, columns = min_of(kPairLines, s_.K - column);
        split_pair(line, column, columns, s_.Q, 0, p_.blocks,
                   scratch_.right + panel * p_.panel_size + i * p_.blocks * pair_block(p_.parts), splitter_);
      }
      add_rows(dy, s_.Q, s_.K, s_.K, true, bias);
    }
  }

  void multiply(int64_t lines, bool accumulate) const {
    for (int64_t pair = 0; pair < p_.pairs; ++pair) {
      const AmxStream a{scratch_.left + pair * kPairLines * p_.row, kTileLines * p_.row, p_.plane, kTileDepth,
                        p_.row * static_cast<int64_t>(sizeof(Bfloat16))};
      for (int64_t panel = 0; panel < p_.panels; ++panel) {
        multiply_split(p_.terms - pair * kPairLines, s_.K - panel * kPairLines,
                       {p_.parts, a, pair_stream(scratch_.right + panel * p_.panel_size, p_.parts), w_.jumps,
                        lines, p_.blocks, sums(pair, panel), accumulate});
      }
    }
  }

  const AmxLinesWeight& p_;
  const Conv2dSpec& s_;
  const AmxLinesWorkspace& w_;
  AmxLinesWorkspace::Scratch scratch_;
  Splitter splitter_;
};

inline bool lines_weight(const AmxLinesWeight& p, const float* x, const float* dy, float* dw, float* dbias,
                         const Context& context) {
  const AmxLinesWorkspace w(p, context.threads, context.workspace);
  int64_t source[kTileDepth];
  for (int64_t i = 0; i < kTileDepth; ++i) source[i] = i * p.s.stride_w * p.s.C;
  make_picks(source, w.picks);
  for (int64_t i = 0; i < p.band_lines; ++i) w.jumps[i] = i * p.s.stride_h * p.line_rows * p.row;
  for (int i = 0; i < context.threads; ++i) w.refused[i] = 0;
  parallel_for_slots(context.threads, p.chunks, [&](int64_t chunk, int slot) {
    const AmxSession session;
    AmxLinesTask task(p, w, slot);
    task.add_chunk(x, dy, part_of(p.lines(), p.chunks, chunk), w.partial + chunk * p.sums_size());
    w.refused[slot] |= !task.ordinary();
  });
  if (any_refused(w.refused, context.threads)) return false;
  const int64_t size = p.terms * p.s.K;
  tree_sum(w.partial, p.chunks, p.sums_size(), size, dw, 1);
  if (dbias != nullptr) tree_sum(w.partial + size, p.chunks, p.sums_size(), p.s.K, dbias, 1);
  return true;
}

}  // namespace fc::cpu::FC_ISA
