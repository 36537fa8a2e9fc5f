// kernel.cuh — a convolution's product by Hopper's tensor cores: one tile of results per block.
//
// Math       device/gather.cuh, device/epilogue.cuh
// Grid       x: tiles, those of the same rows next to each other   y: phases, or parts of the depth
// Block      nine warps: two warpgroups multiply 64 rows each; one thread of the last warp orders the copies
// Shared memory  a ring of kStages, a step of the depth each: 128 rows and kColumns columns of 64 numbers;
//            the same bytes then stage the sums, 16 rows of a warp at a time, and at last tally.cuh's
// Registers  112 at most: two blocks per multiprocessor, one of which multiplies while the other stores; with
//            256 columns one block, and 224. setmaxnreg would take a warpgroup of producers, and with three
//            warps more leave those that multiply fewer (104) or hardly more (232)
// Numerics   float32, ascending in steps of 16; parts are cut by shape alone and added in order
// Edges      rows, channels, taps and pixels beyond the last arrive as zeros and are not stored. Cells
//            outside the image are 0, too: times an infinite weight they give NaN
// Source     pipeline: NVIDIA, CUDA programming guide, "Asynchronous Data Copies"; PTX ISA
#pragma once

#include "cuda/device/tally.cuh"
#include "cuda/device/warpgroup.cuh"
#include "cuda/device/wgmma.cuh"
#include "cuda/hopper/plan.h"
#include "cuda/hopper/product.cuh"

namespace fc::cuda {

inline constexpr int kHopperConsumers = 2 * kWarpgroup, kHopperThreads = kHopperConsumers + 32;

template <class T_, int kColumns_>
struct HopperTile {
  using T = T_;
  static constexpr int kColumns = kColumns_, kStages = kColumns == 2 * kBoxLine ? 3 : 4;
  static constexpr int kBlocks = kColumns <= 2 * kBoxLine ? 2 : 1;  // per multiprocessor, at least
  static constexpr int kBox = kBoxLine * kBoxLine;                  // numbers of a box of 64 rows
  static constexpr int kBoxBytes = 2 * kBox, kStepBytes = (kHopperRows + kColumns) * kBoxLineBytes;
  static constexpr int kPitch = kColumns + 8;  // floats: a warp's sums then meet every bank once

  struct Memory {
    alignas(kSwizzleBytes) T a[kStages][kHopperRows * kBoxLine];
    alignas(kSwizzleBytes) T b[kStages][kColumns * kBoxLine];
    MBarrier full[kStages], empty[kStages];
  };
  static_assert(sizeof(float) * kPitch * 16 * kHopperConsumers / 32 <= kStages * kStepBytes);
  static_assert(sizeof(float) * tally_floats(kColumns, kHopperConsumers) <= kStages * kStepBytes);
};

// Which stage of the ring comes next, and the parity of the phase that its barriers are in.
template <int kStages>
struct RingPosition {
  int stage = 0;
  unsigned parity = 0;

  __device__ __forceinline__ void advance() {
    if (++stage == kStages) stage = 0, parity ^= 1u;
  }
};

// Where a block's tile lies.
struct TilePlace {
  int first_row, first_column;
  int begin, end;  // steps of the depth
};

// 64 rows of backward_weight: channels of a tap.
struct ChannelLine {
  int chunk, row, column, tap;  // chunk of 64 channels; tap: row * taps_w + column

  __device__ __forceinline__ ChannelLine(const HopperPhase& phase, int chunks, int line)
      : chunk(line % chunks),
        row(line / chunks / phase.taps_w),
        column(line / chunks - row * phase.taps_w),
        tap(line / chunks) {}
};

__device__ __forceinline__ int chunks_of(int channels) {
  return (channels + kBoxLine - 1) / kBoxLine;
}

// Under offset 0.
__device__ __forceinline__ PixelCell first_cell(const HopperPhase& phase, int pixel) {
  const int n = phase.gather.image.divide(pixel), p = phase.gather.line.divide(pixel);
  return {n, p * phase.gather.h.step + phase.lower.h, pixel * phase.gather.w.step + phase.lower.w};
}

// Orders the boxes of one step after the other; of forward and backward_input.
template <Pass kPass, class Tile, class Product>
__device__ __forceinline__ void load_taps(const Product& p, const HopperPhase& phase, const TilePlace& at,
                                          typename Tile::Memory& memory) {
  const int chunks = chunks_of(p.channels);
  const PixelCell first = first_cell(phase, at.first_row);
  ChannelLine line(phase, chunks, at.begin);
  RingPosition<Tile::kStages> ring;
#pragma unroll 1
  for (int step = at.begin; step < at.end; ++step) {
    MBarrier* const full = &memory.full[ring.stage];
    wait_for(&memory.empty[ring.stage], ring.parity ^ 1u);
    arrive_expecting(full, Tile::kStepBytes);
    const int channel = line.chunk * kBoxLine;
    if (phase.matrix) {
      load_box(memory.a[ring.stage], phase.images, full, channel, at.first_row, 0);
    } else {
      load_pixels(memory.a[ring.stage], phase.images, full, channel, first, phase.offset_h.of(line.row),
                  phase.offset_w.of(line.column));
    }
    const int tap = phase.filter_first + line.row * phase.filter_h + line.column * phase.filter_w;
    if constexpr (kPass == Pass::backward_input) {
      load_box(memory.b[ring.stage], p.lines, full, channel, at.first_column, tap);
    } else {
#pragma unroll
      for (int j = 0; j < Tile::kColumns / kBoxLine; ++j) {
        load_box(memory.b[ring.stage] + j * Tile::kBox, p.lines, full, at.first_column + j * kBoxLine,
                 channel, tap);
      }
    }
    if (++line.chunk == chunks) {
      line.chunk = 0;
      if (++line.column == phase.taps_w) line.column = 0, ++line.row;
    }
    ring.advance();
  }
}

// The same of backward_weight, whose depth is pixels. Lines beyond the last repeat it: they are not stored.
template <class Tile, class Product>
__device__ __forceinline__ void load_pixel_lines(const Product& p, const HopperPhase& phase,
                                                 const TilePlace& at, typename Tile::Memory& memory) {
  constexpr int kLines = kHopperRows / kBoxLine;
  const int chunks = chunks_of(p.channels), last = phase.taps * chunks - 1;
  RingPosition<Tile::kStages> ring;
#pragma unroll 1
  for (int step = at.begin; step < at.end; ++step) {
    MBarrier* const full = &memory.full[ring.stage];
    wait_for(&memory.empty[ring.stage], ring.parity ^ 1u);
    arrive_expecting(full, Tile::kStepBytes);
    const int pixel = step * kBoxLine;
    const PixelCell first = first_cell(phase, pixel);
#pragma unroll 1
    for (int j = 0; j < kLines; ++j) {
      const int number = at.first_row / kBoxLine + j;
      const ChannelLine line(phase, chunks, number < last ? number : last);
      auto* const to = memory.a[ring.stage] + j * Tile::kBox;
      if (phase.matrix) {
        load_box(to, phase.images, full, line.chunk * kBoxLine, pixel, 0);
      } else {
        load_pixels(to, phase.images, full, line.chunk * kBoxLine, first, phase.offset_h.of(line.row),
                    phase.offset_w.of(line.column));
      }
    }
#pragma unroll
    for (int j = 0; j < Tile::kColumns / kBoxLine; ++j) {
      load_box(memory.b[ring.stage] + j * Tile::kBox, p.lines, full, at.first_column + j * kBoxLine, pixel,
               0);
    }
    ring.advance();
  }
}

// sums += A · B of all steps; a warpgroup's 64 rows.
template <Pass kPass, class Tile>
__device__ __forceinline__ void multiply_steps(float (&sum)[Tile::kColumns / 2], int steps, int group,
                                               typename Tile::Memory& memory) {
  using T = typename Tile::T;
  constexpr Major kMajorA = kPass == Pass::backward_weight ? Major::edge : Major::depth;
  constexpr Major kMajorB = kPass == Pass::backward_input ? Major::depth : Major::edge;
  const bool tells =
      threadIdx.x % kWarp == 0;  // one thread of a warp says that the warp has done with a stage
  RingPosition<Tile::kStages> ring;
  MBarrier* done = nullptr;
  pin(sum);
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    wait_for(&memory.full[ring.stage], ring.parity);
    const TileDescriptor a(memory.a[ring.stage] + group * Tile::kBox, Tile::kBoxBytes);
    const TileDescriptor b(memory.b[ring.stage], Tile::kBoxBytes);
    begin_products();
#pragma unroll
    for (unsigned i = 0; i < kBoxLine / kProductDepth; ++i) {
      multiply<T, kMajorA, kMajorB>(sum, a.after(i * depth_step_bytes<kMajorA>()),
                                    b.after(i * depth_step_bytes<kMajorB>()));
    }
    commit_products();
    wait_products<1>();  // the step before: its stage may be filled again
    if (tells && done != nullptr) arrive(done);
    done = &memory.empty[ring.stage];
    ring.advance();
  }
  wait_products<0>();
  pin(sum);
}

// 8 sums of a row to where they belong: a part's as they are, others through the epilogue.
template <Pass kPass, class T>
__device__ __forceinline__ void store_sums(const HopperProduct<kPass, T>& p, float (&v)[8], int column,
                                           int64_t offset, TallyOf<kPass, 8>& tally) {
  if (p.partial != nullptr) {
    store_values(p.partial + blockIdx.y * p.results + offset, true, v);
  } else if constexpr (kPass == Pass::backward_weight) {
    store_values(p.out + offset, true, v);
  } else {
    store_tallied(p.epilogue, p.tally, v, column, offset, p.out, tally);
  }
}

// Where the results of a row of the tile begin; < 0: nowhere.
template <Pass kPass, class Product>
__device__ __forceinline__ int64_t row_offset(const Product& p, const HopperPhase& phase, int row) {
  if constexpr (kPass != Pass::backward_weight) {
    return row < phase.gather.pixels ? locate_result(phase.gather, row) : -1;
  } else {
    const ChannelLine line(phase, chunks_of(p.channels), row / kBoxLine);
    const int channel = line.chunk * kBoxLine + row % kBoxLine;
    if (line.tap >= phase.taps || channel >= p.channels) return -1;
    return (static_cast<int64_t>(line.tap) * p.channels + channel) * p.columns;
  }
}

// A warp's 16 rows, by way of its own part of shared memory: there nobody reads any more.
template <Pass kPass, class Tile, class Product>
__device__ __forceinline__ void store_rows(const Product& p, const HopperPhase& phase, const TilePlace& at,
                                           const float (&sum)[Tile::kColumns / 2], int first_row,
                                           float* stage, TallyOf<kPass, 8>& tally) {
  constexpr int V = 8, kPerRow = Tile::kColumns / V, kPitch = Tile::kPitch;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  float* const corner = stage + lane / 4 * kPitch + lane % 4 * 2;
#pragma unroll
  for (int j = 0; j < Tile::kColumns / 8; ++j) {
    store_chunk(corner + j * 8, {sum[4 * j], sum[4 * j + 1]});
    store_chunk(corner + j * 8 + 8 * kPitch, {sum[4 * j + 2], sum[4 * j + 3]});
  }
  __syncwarp();
#pragma unroll 1
  for (int i = lane; i < 16 * kPerRow; i += 32) {
    const int row = i / kPerRow, in_tile = i % kPerRow * V, column = at.first_column + in_tile;
    const int64_t offset = row_offset<kPass>(p, phase, first_row + row);
    if (offset < 0 || column >= p.columns) continue;
    float v[V];
    load_values(stage + row * kPitch + in_tile, true, v);
    store_sums(p, v, column, offset + column, tally);
  }
}

template <Pass kPass, class T, int kColumns>
__global__ void __launch_bounds__(kHopperThreads, HopperTile<T, kColumns>::kBlocks)
    hopper_kernel(const __grid_constant__ HopperProduct<kPass, T> p) {
  using Tile = HopperTile<T, kColumns>;
  constexpr bool kWeight = kPass == Pass::backward_weight;
  const int y = static_cast<int>(blockIdx.y), part = p.partial != nullptr ? y : 0;
  const HopperPhase& phase = p.phase[p.partial != nullptr ? 0 : y];
  const int tile = static_cast<int>(blockIdx.x), lines = phase.taps * chunks_of(p.channels);
  const int depth = kWeight ? (phase.gather.pixels + kBoxLine - 1) / kBoxLine : lines;
  const int begin = part * p.part_steps, cut = begin + p.part_steps;
  const TilePlace at{tile / p.column_tiles * kHopperRows, tile % p.column_tiles * kColumns, begin,
                     p.partial != nullptr && cut < depth ? cut : depth};
  if (at.first_row >= (kWeight ? lines * kBoxLine : phase.gather.pixels)) return;  // phases differ in size

  auto& memory = *dynamic_shared<typename Tile::Memory>();
  if (threadIdx.x == 0) {
    prefetch_map(phase.images);
    prefetch_map(p.lines);
#pragma unroll
    for (int i = 0; i < Tile::kStages; ++i) {
      make_barrier(&memory.full[i], 1);
      make_barrier(&memory.empty[i], kHopperConsumers / kWarp);
    }
    publish_barriers();
  }
  __syncthreads();

  const int warp =
      static_cast<int>(__shfl_sync(~0u, threadIdx.x / kWarp, 0));  // the same in all of its lanes
  if (warp == kHopperConsumers / 32) {
    if (threadIdx.x != kHopperConsumers) return;
    if constexpr (kWeight) {
      load_pixel_lines<Tile>(p, phase, at, memory);
    } else {
      load_taps<kPass, Tile>(p, phase, at, memory);
    }
    return;
  }
  float sum[kColumns / 2];
#pragma unroll
  for (int i = 0; i < kColumns / 2; ++i) sum[i] = 0.0f;
  multiply_steps<kPass, Tile>(sum, at.end - at.begin, warp / 4, memory);
  sync_some<1, kHopperConsumers>();  // before sums take the place of tiles
  auto* const stage = reinterpret_cast<float*>(&memory);
  TallyOf<kPass, 8> tally;
  store_rows<kPass, Tile>(p, phase, at, sum, at.first_row + warp * 16, stage + warp * 16 * Tile::kPitch,
                          tally);
  if constexpr (!kWeight) {
    if (p.tally.partial == nullptr) return;
    const int64_t of_part = p.tally.first_part[y] + tile / p.column_tiles;
    finish_tally<kColumns, kHopperConsumers>(
        tally, p.columns - at.first_column, stage, [] { sync_some<1, kHopperConsumers>(); },
        p.tally.partial + of_part * tally.kNumbers * p.columns + at.first_column, p.columns);
  }
}

}  // namespace fc::cuda
