// amx_weight_grid.h — what a weight gradient reads, numbered so that a tap is merely a shifted start.
//
// The cells of x are numbered through the lines of the grid of amx_grid.h, borders included, and cut into
// bands of equally many numbers. A band of x is split into left tiles, [remainder][16 channels][32
// numbers][part]. The position that reads a cell under a tap is a fixed distance before it, so dy is split
// into right tiles that may begin anywhere: [16 filters][parity][part][pair of numbers], where pairs begin at
// even numbers and, once more, at odd ones; of a single tap, [32 numbers][16 filters][part], written as dy is
// read. Numbers that belong to no position are zeros in dy, cells outside the image are zeros in x. With few
// channels the taps of a filter row count as channels: their cells are neighbours in memory, and tiles are
// full.
#pragma once

#include "cpu/kernels/amx_block.h"
#include "cpu/kernels/amx_cells.h"
#include "cpu/kernels/amx_grid.h"
#include "cpu/kernels/igemm_weight_problem.h"

namespace fc::cpu::FC_ISA {

inline constexpr int64_t kWeightBandNumbers = 1024;     // a sum is loaded and stored once per band,
inline constexpr int64_t kWeightBandBytes = 896 << 10;  // but split x and dy stay in L2, beside the sums
inline constexpr int64_t kWeightLeastNumbers = 128;
inline constexpr int64_t kAmxPartBytes = 640 << 10;  // of sums that a task adds to: they stay in L2
inline constexpr int64_t kEvenBands = 4;  // few bands are so many, or a multiple: threads get equally many
// Of many tiles, pieces of a band one after the other, blocks of 32 numbers, if so much holds the tiles of one.
inline constexpr int64_t kPieceTiles = 8, kLeastPieceBlocks = 2, kMostPieceBlocks = 4, kPieceBytes = 64 << 10;

struct AmxWeightGrid {
  int64_t parts;
  const float *x, *dy;
  int64_t images, groups, filters, columns;  // columns: filters of a group
  Axis axis_h, axis_w;
  int64_t pixel, channels, taps_w;
  bool merged;
  GridAxis h, w;
  int64_t channel_tiles, column_tiles;
  int64_t numbers;
  int64_t band, bands;     // numbers of a band; the last one may end earlier
  int64_t halo, parities;  // numbers before a band whose positions read it; kinds of pairs

  AmxWeightGrid(const IgemmWeight<float>& p, int64_t number_parts)
      : parts(number_parts),
        x(p.rows.image),
        dy(p.dy),
        images(p.rows.images),
        groups(p.groups),
        filters(p.filters()),
        columns(p.columns),
        axis_h(p.rows.h),
        axis_w(p.rows.w),
        pixel(p.rows.pixel),
        channels(p.rows.channels),
        taps_w(p.rows.w.taps),
        merged(merges(p.rows)),
        h(axis_h),
        w(merged ? Axis{axis_w.positions, axis_w.positions, 1, 1, 0, 1} : axis_w),
        channel_tiles(ceil_div(depth(), kTileLines)),
        column_tiles(ceil_div(columns, kTileLines)) {
    halo = round_up(last_shift(), kNumbers);
    parities = has_odd_shift() ? 2 : 1;
    numbers = ((images - 1) * h.pitch + axis_h.positions - 1) * w.pitch + axis_w.positions + last_shift();
    const int64_t bytes = (channel_tiles * remainders() + column_tiles * parities) * kTileLines * parts * 2;
    const int64_t most =
        max_of(min_of(kWeightBandNumbers, kWeightBandBytes / bytes), max_of(halo, kWeightLeastNumbers));
    bands = max_of(ceil_div(numbers, most), 1);
    if (sums_bytes() <= kAmxPartBytes && bands > 2 && bands < kTasks) bands = round_up(bands, kEvenBands);
    band = round_up(ceil_div(numbers, bands), kNumbers);
    bands = max_of(ceil_div(numbers, band), 1);
  }

  int64_t depth() const { return merged ? taps_w * channels : channels; }
  int64_t runs() const { return merged ? axis_h.taps : axis_h.taps * taps_w; }
  int64_t remainders() const { return h.remainders() * w.remainders(); }
  int64_t band_blocks() const { return band / kNumbers; }
  int64_t blocks_of(int64_t i) const { return ceil_div(min_of(band, numbers - i * band), kNumbers); }
  // Of a group's dw, as pairs of tiles.
  int64_t sums_bytes() const {
    const int64_t pairs = ceil_div(channel_tiles, 2) * ceil_div(column_tiles, 2) * runs();
    return pairs * kPairSums * static_cast<int64_t>(sizeof(float));
  }
  // Each piece loads and stores all sums once more, but from the second tap on L1 has most of its tiles: of 128
  // channels and filters, or more, 1.06 to 1.2 times as fast, of 28 columns 0.97; of 64, slower.
  int64_t pieces(int64_t band_blocks) const {
    const int64_t halo_tiles = 2 * parities * halo / kNumbers, block_tiles = 2 + 2 * parities;
    const int64_t tiles = kPieceBytes / (x_block() * static_cast<int64_t>(sizeof(Bfloat16)));
    const int64_t blocks = min_of((tiles - halo_tiles) / block_tiles, kMostPieceBlocks);
    const bool many = min_of(channel_tiles, column_tiles) >= kPieceTiles;
    return many && blocks >= kLeastPieceBlocks && band_blocks >= 2 * blocks ? ceil_div(band_blocks, blocks)
                                                                            : 1;
  }
  int64_t x_block() const { return parts * kTileSize; }
  int64_t x_tile() const { return band_blocks() * x_block(); }
  int64_t x_size() const { return remainders() * channel_tiles * x_tile(); }
  int64_t dy_part() const { return halo == 0 ? kTileSize : (halo + band) / 2 * kPairSize; }
  int64_t dy_tile() const { return parities * parts * dy_part(); }
  int64_t dy_block() const { return halo == 0 ? column_tiles * dy_tile() : kTileSize; }
  int64_t dy_size() const { return halo == 0 ? band_blocks() * dy_block() : column_tiles * dy_tile(); }

  // Of a run of taps: the cells, in the remainder they have, of the positions that read them.
  int64_t remainder(int64_t run) const {
    return h.remainder(tap_h(run)) * w.remainders() + w.remainder(tap_w(run));
  }
  int64_t x_start(int64_t run) const { return remainder(run) * channel_tiles * x_tile(); }
  int64_t dy_start(int64_t run) const {
    const int64_t first = halo - shift(run);
    return first % 2 * parts * dy_part() + first / 2 * kPairSize;
  }

  // Splits tiles [tiles.begin, tiles.end) of the channels of a group.
  void split_x(int64_t band_index, int64_t group, Range tiles, Bfloat16* to, float* strip,
               Splitter& splitter) const {
    for (int64_t set = 0; set < remainders(); ++set) {
      for (int64_t block = 0; block < blocks_of(band_index); ++block) {
        const float* cells[kNumbers];
        point_x(band_index * band + block * kNumbers, set, group, strip, cells);
        Bfloat16* out = to + (set * channel_tiles + tiles.begin) * x_tile() + block * x_block();
        const CellRows rows{cells, tiles.begin * kTileLines, depth(), axis_w.step * pixel};
        for (int64_t tile = 0; tile < tiles.size(); ++tile, out += x_tile()) {
          split_cells(rows.from(tile * kTileLines), false, out, kTileSize, splitter);
          for (int64_t part = 0; part < parts; ++part) transpose_tile(out + part * kTileSize);
        }
      }
    }
  }

  // The same for filters; their sums over the band go to dbias, unless it is null.
  void split_dy(int64_t band_index, int64_t group, Range tiles, Bfloat16* to, float* dbias,
                Splitter& splitter) const {
    const Range bias{tiles.begin * kTileLines, min_of(tiles.end * kTileLines, columns)};
    if (dbias != nullptr) {
      for (int64_t k = bias.begin; k < bias.end; ++k) dbias[k] = 0;
    }
    Bfloat16* out = to + tiles.begin * dy_tile();
    const int64_t end = blocks_of(band_index) * kNumbers;
    for (int64_t number = -halo; number < end; number += kNumbers, out += dy_block()) {
      const float* cells[kNumbers + 1];
      point_dy(band_index * band + number, group, cells);
      const CellRows rows{cells, bias.begin, columns, filters};
      if (parities == 1) {
        split_rows(rows, tiles.size(), out, dy_tile(), dy_part(), splitter);
      } else {
        for (int64_t tile = 0; tile < tiles.size(); ++tile)
          split_cells(rows.from(tile * kTileLines), true, out + tile * dy_tile(), dy_part(), splitter);
      }
      if (dbias != nullptr && number >= 0) add_cells(cells, bias, dbias);
    }
  }

 private:
  static bool merges(const ImageRows<float>& r) {
    const int64_t taps = r.w.taps;
    return taps > 1 && r.w.tap_step == 1 && r.pixel == r.channels && r.channels < kTileLines &&
           ceil_div(taps * r.channels, kTileLines) < taps;
  }

  int64_t tap_h(int64_t run) const { return merged ? run : run / taps_w; }
  int64_t tap_w(int64_t run) const { return merged ? 0 : run % taps_w; }
  int64_t shift(int64_t run) const { return h.index(tap_h(run)) * w.pitch + w.index(tap_w(run)); }
  int64_t last_shift() const { return shift(runs() - 1); }
  bool has_odd_shift() const {
    for (int64_t run = 0; run < runs(); ++run) {
      if (shift(run) % 2 != 0) return true;
    }
    return false;
  }

  // cells[i] = f(image, line)[q - in.begin) * stride] of the number first + i, null where q is not in `in` or
  // f null.
  template <class F>
  void point(int64_t first, int64_t count, Range in, int64_t stride, const float** cells, const F& f) const {
    int64_t q = first % w.pitch, row = first / w.pitch;
    for (int64_t i = 0; i < count; q = 0, ++row) {
      const int64_t end = min_of(w.pitch, q + count - i), image = row / h.pitch;
      const float* line = image < images ? f(image, row % h.pitch) : nullptr;
      if (line == nullptr) {
        for (; q < end; ++q) cells[i++] = nullptr;
        continue;
      }
      for (; q < min_of(in.begin, end); ++q) cells[i++] = nullptr;
      for (; q < min_of(in.end, end); ++q) cells[i++] = line + (q - in.begin) * stride;
      for (; q < end; ++q) cells[i++] = nullptr;
    }
  }

  void point_dy(int64_t first, int64_t group, const float** cells) const {
    const int64_t before = min_of(max_of(-first, 0), kNumbers + 1);
    for (int64_t i = 0; i < before; ++i) cells[i] = nullptr;
    point(max_of(first, 0), kNumbers + 1 - before, {0, axis_w.positions}, filters, cells + before,
          [&](int64_t image, int64_t line) {
            return line < axis_h.positions
                       ? dy + (image * axis_h.positions + line) * axis_w.positions * filters + group * columns
                       : nullptr;
          });
  }

  void point_x(int64_t first, int64_t set, int64_t group, float* strip, const float** cells) const {
    const int64_t rh = set / w.remainders(), rw = set % w.remainders();
    const auto line_of = [&](int64_t image, int64_t line) {
      const int64_t cell = h.cell(line, rh);
      return 0 <= cell && cell < h.cells ? x + (image * h.cells + cell) * axis_w.cells * pixel : nullptr;
    };
    if (merged) {
      const Range whole = axis_w.inside_all();
      point(first, kNumbers, whole, axis_w.step * pixel, cells, [&](int64_t image, int64_t line) {
        const float* from = line_of(image, line);
        return from != nullptr ? from + (whole.begin < whole.end ? axis_w.cell(whole.begin, 0) * pixel : 0)
                               : nullptr;
      });
      if (whole.size() < axis_w.positions) gather_edges(first, whole, line_of, strip, cells);
    } else {
      const Range in = w.inside(rw, 0, w.pitch);
      point(first, kNumbers, in, w.step * pixel, cells, [&](int64_t image, int64_t line) {
        const float* from = line_of(image, line);
        return from != nullptr
                   ? from + (in.begin < in.end ? w.cell(in.begin, rw) * pixel : 0) + group * channels
                   : nullptr;
      });
    }
  }

  // Windows that cross an edge are copied together.
  template <class F>
  void gather_edges(int64_t first, Range whole, const F& line_of, float* strip, const float** cells) const {
    for (int64_t i = 0; i < kNumbers; ++i) {
      const int64_t q = (first + i) % w.pitch, row = (first + i) / w.pitch, image = row / h.pitch;
      if (whole.begin <= q && q < whole.end) continue;
      const float* line = image < images ? line_of(image, row % h.pitch) : nullptr;
      if (line == nullptr) continue;
      float* to = strip + i * depth();
      for (int64_t s = 0; s < taps_w; ++s) {
        const int64_t cell = axis_w.cell(q, s);
        for (int64_t c = 0; c < channels; ++c)
          to[s * channels + c] = axis_w.contains(cell) ? line[cell * pixel + c] : 0;
      }
      cells[i] = to;
    }
  }

  static void add_cells(const float* const* cells, Range filters, float* sums) {
    for_each_vector<float>(filters.size(), [&](int64_t i, int64_t count) {
      const int64_t k = filters.begin + i;
      Vec<float> total{};
      for (int64_t cell = 0; cell < kNumbers; ++cell) {
        if (cells[cell] != nullptr) total += load_up_to(cells[cell] + k, count);
      }
      store_up_to(sums + k, load_up_to(sums + k, count) + total, count);
    });
  }
};

}  // namespace fc::cpu::FC_ISA
