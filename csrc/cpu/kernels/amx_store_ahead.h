// amx_store_ahead.h — a block of sums goes to memory while the tiles multiply for the next one.
//
// A product of tiles is one instruction, and takes 16 cycles: the core has time for everything else in
// between. But it looks only some hundred instructions ahead, fewer than a block's way to memory takes, so
// that the tiles would wait for the rows behind the last product. They are stored between the products
// instead, some at a time: up to 1.3 times as fast, the shallower the products the more.
#pragma once

#include "cpu/kernels/amx_gather.h"

namespace fc::cpu::FC_ISA {

class StoreAhead {
 public:
  explicit StoreAhead(const Epilogue<float>& epilogue) : epilogue_(epilogue) {}

  // A block's columns [column, column + columns) of the results; the block before has been finished. A gather
  // that is wanted sees them on their way. Rows come in the order in which they are stored.
  void begin_block(int64_t column, int64_t columns, PanelGather* gather = nullptr) {
    column_ = column, columns_ = columns;
    gather_ = gather != nullptr && gather->wanted() ? gather : nullptr;
    runs_ = next_ = calls_ = 0;
  }
  void add_rows(const SumRows& rows) {
    run_[runs_++] = rows;
    calls_ += ceil_div(rows.count, kRows);
  }
  // Evenly over so many steps.
  void spread(int64_t steps) { wait_ = distance_ = max_of(steps / max_of(calls_, 1), 1); }

  FC_INLINE void step() {
    if (--wait_ == 0) store_some();
  }
  void finish() {
    for (; next_ < runs_; ++next_) store(run_[next_]);
    if (runs_ > 0 && gather_ != nullptr) gather_->close_block();
  }

 private:
  static constexpr int64_t kRows = 8;  // at a time: what store_sums takes at once
  static constexpr int64_t kMostRuns = kPairLines;

  __attribute__((noinline)) void store_some() {
    wait_ = distance_;
    if (next_ == runs_) return;
    SumRows& rows = run_[next_];
    const int64_t count = min_of(rows.count, kRows);
    store({rows.sums, count, rows.out, rows.step});
    rows = {rows.sums + count * kPairLines, rows.count - count, rows.out + count * rows.step, rows.step};
    if (rows.count == 0) ++next_;
  }

  void store(const SumRows& rows) {
    gather_ != nullptr ? store_sums(rows, column_, columns_, epilogue_, *gather_)
                       : store_sums(rows, column_, columns_, epilogue_);
  }

  const Epilogue<float>& epilogue_;
  PanelGather* gather_ = nullptr;
  int64_t column_ = 0, columns_ = 0;
  int64_t runs_ = 0, next_ = 0, calls_ = 0, distance_ = 0, wait_ = 0;
  SumRows run_[kMostRuns];
};

}  // namespace fc::cpu::FC_ISA
