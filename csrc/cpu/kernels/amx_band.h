// amx_band.h — the products of a band's grid with some panels of filters, 32 positions at a time.
//
// Between the products of a block of sums the core does what else there is to do: the block before is stored,
// the grid that the next one reads is split, what its own epilogue reads is fetched.
#pragma once

#include <array>
#include <optional>

#include "cpu/kernels/amx_conv_problem.h"
#include "cpu/kernels/amx_grid_lines.h"
#include "cpu/kernels/amx_store_ahead.h"
#include "cpu/kernels/fetch_ahead.h"

namespace fc::cpu::FC_ISA {

template <class Grid>
struct BandAhead {
  StoreAhead store;
  FetchAhead fetch;
  BandFilling<Grid>* filling = nullptr;  // null: the grid is there

  FC_INLINE void step() {
    store.step();
    if (filling != nullptr) filling->step();
    fetch.step();
  }
};

template <class Grid>
class BandProduct {
 public:
  // Panels whose products with a block of positions follow each other: so much longer is there to split what
  // the next block reads.
  static constexpr int64_t kPanels = 4;

  // `sums` has room for two blocks.
  BandProduct(const AmxConv<Grid>& c, const AmxConvBlocking& k, const Band& band, int64_t group,
              const int64_t* jumps, const Bfloat16* grid, float* sums)
      : c_(c),
        k_(k),
        band_(band),
        group_(group),
        jumps_(jumps),
        grid_(grid),
        sums_(sums),
        epilogue_(c.p.epilogue.from_column(group * c.p.columns)) {}

  // kPanels or fewer. Their filters lie behind each other; sums down the columns go to `gathered`.
  void multiply(Range panels, const Bfloat16* filters, BandFilling<Grid>* filling, double* gathered) const {
    const int64_t numbers = c_.grid.numbers(band_), steps = kStepsOfBlock * k_.blocks;
    std::array<std::optional<PanelGather>, kPanels> gathers;
    for (int64_t i = 0; i < panels.size(); ++i) {
      const int64_t column = (panels.begin + i) * kPairLines;
      gathers[static_cast<size_t>(i)].emplace(c_.gather, column, columns_from(column));
    }
    BandAhead<Grid> ahead{StoreAhead(epilogue_), FetchAhead(), filling};
    if (c_.gather.x != nullptr) {  // beside one array alone the processor's own prefetching is faster
      ahead.fetch.add_array(epilogue_.gate.values, epilogue_.gate.dx);
      ahead.fetch.add_array(epilogue_.addend.values, epilogue_.addend.results);
      ahead.fetch.add_array(c_.gather.x, c_.gather.results);
    }
    int64_t block = 0;
    for (int64_t first = 0; first < numbers; first += kPairLines) {
      if (filling != nullptr) filling->begin_block(first, steps * panels.size());
      for (int64_t i = 0; i < panels.size(); ++i, ++block) {
        const int64_t column = (panels.begin + i) * kPairLines;
        float* const sums = sums_ + block % 2 * kPairSums;
        begin_fetch(first, column, steps, ahead.fetch);
        multiply_block(first, columns_from(column), filters + i * k_.panel_size, sums, ahead);
        ahead.store.finish();
        begin_store(first, column, steps, sums, *gathers[static_cast<size_t>(i)], ahead.store);
      }
    }
    ahead.store.finish();
    if (!c_.gather.wanted()) return;
    for (int64_t i = 0; i < panels.size(); ++i)
      gathers[static_cast<size_t>(i)]->store_totals(rows_of(c_, band_), gathered, c_.p.columns);
  }

 private:
  int64_t columns_from(int64_t column) const { return min_of(kPairLines, c_.p.columns - column); }
  float* out_of(int64_t image, int64_t line, int64_t q) const {
    return c_.p.out + group_ * c_.p.columns + image * c_.p.out_image + line * c_.p.out_h + q * c_.p.out_w;
  }

  void multiply_block(int64_t first, int64_t columns, const Bfloat16* filter, float* sums,
                      BandAhead<Grid>& ahead) const {
    const Grid& g = c_.grid;
    const AmxStream a{grid_ + first * g.step(), kTileLines * g.step(), g.plane, kTileDepth,
                      g.step() * static_cast<int64_t>(sizeof(Bfloat16))};
    const AmxProduct product{
        g.parts, a, pair_stream(filter, g.parts), jumps_, g.runs(), k_.blocks / g.runs(), sums, false};
    const int64_t rows = c_.grid.numbers(band_) - first;
    // Two parts of a single column tile wait for their operands already: 0.92 of the speed with stores between.
    if (columns > kTileLines || (ahead.filling != nullptr && g.parts > 2)) {
      multiply_split(rows, columns, product, ahead);
    } else if (ahead.fetch.wanted()) {
      multiply_split(rows, columns, product, ahead.fetch);
    } else {
      multiply_split(rows, columns, product);
    }
  }

  void begin_fetch(int64_t first, int64_t column, int64_t steps, FetchAhead& fetch) const {
    if (!fetch.wanted()) return;
    fetch.begin_block(columns_from(column));
    c_.grid.for_each_run(band_, first, [&](int64_t, int64_t n, int64_t image, int64_t line, int64_t q) {
      fetch.add_rows(out_of(image, line, q) + column, n, c_.p.out_w);
    });
    fetch.spread(steps);
  }

  void begin_store(int64_t first, int64_t column, int64_t steps, const float* sums, PanelGather& gather,
                   StoreAhead& store) const {
    store.begin_block(column, columns_from(column), &gather);
    c_.grid.for_each_run(band_, first, [&](int64_t i, int64_t n, int64_t image, int64_t line, int64_t q) {
      store.add_rows({sums + i * kPairLines, n, out_of(image, line, q), c_.p.out_w});
    });
    store.spread(steps);
  }

  const AmxConv<Grid>& c_;
  const AmxConvBlocking& k_;
  const Band band_;
  int64_t group_;
  const int64_t* jumps_;
  const Bfloat16* grid_;
  float* sums_;
  const Epilogue<float> epilogue_;
};

}  // namespace fc::cpu::FC_ISA
