// depthwise.h — one line of a depthwise product, for forward and backward input alike.
//
// Math       out[j][c] = Σ_{r,s} lines[r][cell(j, s)][c] · w[r][s][c]
// Blocking   a few neighbouring positions at a time, all channels of each (depthwise_sums.h); what their windows
//            come to read is asked for ahead
// Numerics   one chain of fma per output, ascending in (r,s)
// Edges      taps outside the image are left out: positions whose window crosses an edge go one by one; the
//            last channels are partial vectors
// Measured   with fetch_positions the gradient of 8 images 56x56x128 in memory took a Zen 5 0.59 ms, without 1.73
// Tried      channels outermost, positions within: 20 % slower, the hardware prefetches the line less well
#pragma once

#include "cpu/kernels/depthwise_sums.h"
#include "cpu/simd/stream.h"

namespace fc::cpu::FC_ISA {

// Asks for what the positions some blocks after j read first. Blocks are walked channel by channel, which
// processors do not foresee. Beyond the end of a line the next one follows.
template <class T>
FC_INLINE void fetch_positions(const DepthwiseLine<T>& line, int64_t j) {
  constexpr int64_t kBlocksAhead = 2, kLine = 64 / sizeof(T);
  const int64_t run = kLinePositions * line.w.step * line.channels;
  for (int64_t r = line.newest.begin; r < line.newest.end; ++r) {
    if (line.lines[r] == nullptr) continue;
    const T* const from = line.lines[r] + line.w.cell(j, line.w.taps - 1) * line.channels;
    for (int64_t i = 0; i < run; i += kLine) prefetch(from + i, kBlocksAhead * run * sizeof(T));
  }
}

// An epilogue that fetches, over the sums of these positions, which are still in L1.
template <class T>
__attribute__((noinline)) void finish_positions(const DepthwiseLine<T>& line, Range positions) {
  constexpr int M = kLinePositions;
  if (!line.epilogue.fetches()) return;
  for (int64_t j = positions.begin; j < positions.end; j += M) {
    const int64_t rows = min_of(positions.end - j, M);
    for_each_vector<T>(line.channels, [&](int64_t c, int64_t n) {
      const auto out = [&](int m) { return m < rows ? line.out + (j + m) * line.out_step + c : nullptr; };
      Vec<T> sum[M][1];
#pragma GCC unroll 8
      for (int m = 0; m < M; ++m) sum[m][0] = m < rows ? load_up_to(out(m), n) : Vec<T>{};
      line.epilogue.apply(sum, c, n, out);
#pragma GCC unroll 8
      for (int m = 0; m < M; ++m)
        if (m < rows) store_up_to(out(m), sum[m][0], n);
    });
  }
}

// The last block of positions whose windows lie inside overlaps the one before it, if need be.
template <class T>
inline void depthwise_line(const DepthwiseLine<T>& line) {
  const Range inside = line.w.inside_all();
  const DepthwiseBlock<T> block(line.w, inside.size());
  const auto one_by_one = [&](Range positions) {
    for (int64_t j = positions.begin; j < positions.end; ++j) sum_any_positions<T, 1>(line, j, 0);
    finish_positions(line, positions);
  };
  if (inside.size() < block.positions) return one_by_one({0, line.w.positions});
  one_by_one({0, inside.begin});
  for (int64_t j = inside.begin; j < inside.end; j += block.positions) {
    fetch_positions(line, j);
    j = min_of(j, inside.end - block.positions);
    block.sum(line, j);
    finish_positions(line, {j, j + block.positions});
  }
  one_by_one({inside.end, line.w.positions});
}

// to[i·multiplier + m] = from[i]: what `multiplier` filters per channel read, laid out as one channel per
// filter.
template <class T>
inline void repeat_channels(const T* from, int64_t n, int64_t multiplier, T* to) {
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t m = 0; m < multiplier; ++m) *to++ = from[i];
  }
}

// The tap rows of `h` that a position reads first, of a tensor of `elements`. None where a cell that is new takes
// part in a few products only: asking for it would cost as much as they do.
template <class T>
inline Range newest_rows(const Axis& h, const Axis& w, int64_t elements) {
  constexpr int64_t kLeastProducts = 8;
  const bool pays = h.taps * w.taps >= kLeastProducts * h.step * w.step;
  return pays && outgrows_l2<T>(elements) ? h.newest() : Range{0, 0};
}

// The same of a convolution's x. Repeated channels lie in scratch memory, so nothing is asked for.
template <class T>
inline Range newest_rows_of_x(const Conv2dSpec& s, const Axis& h, const Axis& w) {
  return s.K == s.C ? newest_rows<T>(h, w, s.N * s.H * s.W * s.C) : Range{0, 0};
}

// Sets lines[r] to the image line that tap row r reads at `position`, its channels repeated into `repeated`
// if needed.
template <class T>
inline void point_lines(const T* image, const Axis& h, int64_t position, int64_t cells_w, int64_t channels,
                        int64_t multiplier, T* repeated, const T** lines) {
  for (int64_t r = 0; r < h.taps; ++r) {
    const int64_t cell = h.cell(position, r);
    lines[r] = h.contains(cell) ? image + cell * cells_w * channels : nullptr;
    if (multiplier > 1 && lines[r] != nullptr) {
      T* to = repeated + r * cells_w * channels * multiplier;
      repeat_channels(lines[r], cells_w * channels, multiplier, to);
      lines[r] = to;
    }
  }
}

}  // namespace fc::cpu::FC_ISA
