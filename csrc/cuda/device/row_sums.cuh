// row_sums.cuh — sums of the terms of each of many cells, in a fixed order.
//
// Math         out[cell] = Σ_t term(cell, t), t < terms
// Grid/Block   4 or 32 threads, or a block of 256, for a cell and a part of its terms; neighbouring threads
//              have neighbouring terms. Sums of few cells are cut into parts, which a second launch adds up
// Numerics     float64 but for the terms of one call of the term; cut by the shape alone
// Workspace    a float64 per part and cell where there is more than one part
// Edges        no terms: 0
#pragma once

#include "cuda/device/matrix_sums.cuh"
#include "cuda/device/reduce.cuh"

namespace fc::cuda {

struct RowParts {
  int64_t cells, terms, parts, terms_per_part;

  RowParts(int64_t cells, int64_t terms) : cells(cells), terms(terms) {
    constexpr int64_t kTermsPerThread = 32;  // a multiple of every pack
    const int64_t least = kSumThreads * kTermsPerThread;
    const int64_t wanted = ceil_div(kMatrixSumBlocks, std::max<int64_t>(1, cells));
    const int64_t most = std::max<int64_t>(1, ceil_div(terms, least));
    terms_per_part = ceil_div(most, std::min(wanted, most)) * least;
    parts = std::max<int64_t>(1, ceil_div(terms, terms_per_part));
  }
  size_t workspace() const { return parts > 1 ? static_cast<size_t>(parts * cells) * sizeof(double) : 0; }
};

// term.template sum<kSize>(cell, t) gives the sum of the terms t to t + kSize - 1; of those beyond the last,
// if kSize does not divide their number, nothing.
template <int kGroup, int kSize, class Term, class Out>
__global__ void __launch_bounds__(kSumThreads)
    row_sums_kernel(const __grid_constant__ Term term, RowParts s, Out* out) {
  constexpr int kAtOnce = 4;
  const int64_t task = global_thread() / kGroup, part = task / s.cells, cell = task - part * s.cells;
  const int64_t last = (part + 1) * s.terms_per_part,
                end = part < s.parts ? (last < s.terms ? last : s.terms) : 0;
  constexpr int64_t kStep = kGroup * kSize;
  double total = 0;
  int64_t t = part * s.terms_per_part + threadIdx.x % kGroup * kSize;
  for (; t + (kAtOnce - 1) * kStep < end; t += kAtOnce * kStep) {
    double sums[kAtOnce];
#pragma unroll
    for (int u = 0; u < kAtOnce; ++u) sums[u] = term.template sum<kSize>(cell, t + u * kStep);
    total += (sums[0] + sums[1]) + (sums[2] + sums[3]);
  }
  for (; t < end; t += kStep) total += term.template sum<kSize>(cell, t);
  if constexpr (kGroup == kSumThreads) {
    total = block_sum<kSumThreads>(total);
  } else {
    total = lane_sum<kGroup>(total);
  }
  if (part < s.parts && threadIdx.x % kGroup == 0) put_sum(out + task, total);
}

template <int kSize, class Term, class Out>
void sum_rows(const Context& context, int64_t cells, int64_t terms, const Term& term, Out* out,
              void* workspace) {
  if (cells == 0) return;
  const RowParts s(cells, terms);
  const auto with_group = [&](auto group, auto* to) {
    constexpr int kGroup = decltype(group)::value;
    const int64_t blocks = ceil_div(s.cells * s.parts, kSumThreads / kGroup);
    launch(row_sums_kernel<kGroup, kSize, Term, std::remove_reference_t<decltype(*to)>>,
           dim3(static_cast<unsigned>(blocks)), dim3(kSumThreads), 0, context, term, s, to);
  };
  if (s.parts > 1) {
    auto* partial = static_cast<double*>(workspace);
    with_group(std::integral_constant<int, kSumThreads>(), partial);
    add_parts(context, s.parts, cells, partial, out);
  } else if (terms <= 32) {
    with_group(std::integral_constant<int, 4>(), out);
  } else if (terms <= 1024) {
    with_group(std::integral_constant<int, 32>(), out);
  } else {
    with_group(std::integral_constant<int, kSumThreads>(), out);
  }
}

}  // namespace fc::cuda
