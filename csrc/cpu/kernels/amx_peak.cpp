// amx_peak.cpp — how many operations of float32 a second AMX tiles can do: products of two parts, out of L1.
//
// Math       the micro-kernel of amx_tile.h on zeros, whose products cost the least power
// Threads    every thread runs the same products
#include "cpu/kernels/amx_tile.h"
#include "cpu/kernels/peak.h"
#include "cpu/kernels/peak_rate.h"

namespace fc::cpu::FC_ISA {

double peak_split_flops(int threads, double seconds) {
  constexpr int64_t kParts = 2, kBlocks = 4, kRounds = 64, kLines = 2 * kTileLines;
  constexpr int64_t kPair = 2 * kParts * kTileSize;
  constexpr double kFlops = 2.0 * kLines * kLines * kTileDepth * kBlocks * kRounds;
  alignas(64) static const Bfloat16 factor[kBlocks * kPair] = {};
  static const int64_t jump = 0;
  return best_rate(threads, seconds, kFlops, [](int64_t) {
    const AmxSession session;
    alignas(64) float sums[kLines * kLines];
    const AmxStream stream{factor, kParts * kTileSize, kTileSize, kPair};
    for (int64_t i = 0; i < kRounds; ++i)
      multiply_split(kLines, kLines, {kParts, stream, stream, &jump, 1, kBlocks, sums, i > 0});
  });
}

}  // namespace fc::cpu::FC_ISA
