// binary_backward.cpp — gradients of add, subtract, multiply: summed over the axes along which an operand was
// repeated.
//
// Math       da = Σ dy·∂y/∂a over a's repeated axes, db likewise; ∂y/∂a = 1, 1, b and ∂y/∂b = 1, −1, a
// Shapes     dy (y's), a, b, da, db as in the spec
// Blocking   y's axes fall into kept ones (a's own) and summed ones. Nothing summed: one elementwise pass.
//            Last axis kept (a bias): columns, 128 rows in registers. Last axis summed: rows, 4096 terms at a
//            time.
// Threads    over (kept cell, block of terms); blocks are added in ascending order
// Numerics   a block in T, blocks in double
// Workspace  one double per kept cell and block of terms
// Edges      empty y: da and db are 0
#include "cpu/kernels/binary.h"
#include "cpu/kernels/column_sums.h"
#include "cpu/kernels/reduce.h"

namespace fc::cpu::FC_ISA {
namespace {

// dy's part in the gradient of one operand, given the other one.
struct Pass {
  template <class V>
  FC_INLINE V operator()(const V& dy, const V&) const {
    return dy;
  }
};
struct Negate {
  template <class V>
  FC_INLINE V operator()(const V& dy, const V&) const {
    return -dy;
  }
};

constexpr int kA = 1, kB = 2;  // operands in the order of for_each_axis

// The gradient of one operand as a sum: operands of the axes are dy and the other operand.
struct Sums {
  Axes<2> kept, summed;
  bool by_columns = false;  // the last axis of y is kept
  // By rows: a part of a sum is `pieces_per_part` pieces of `piece` neighbours, about kSumBlock terms in all.
  int64_t piece, pieces, pieces_per_part;
  int64_t cells, terms, parts;  // kept cells, terms of each one's sum, parts a sum is cut into

  Sums(const BinarySpec& spec, int operand) {
    bool first = true;
    for_each_axis(spec, [&](int64_t extent, const int64_t (&strides)[3]) {
      const bool keep = strides[operand] != 0;
      if (first) by_columns = keep;
      first = false;
      (keep ? kept : summed).append(extent, {strides[0], strides[kA + kB - operand]});
    });
    cells = kept.count();
    terms = summed.count();
    const int64_t run = summed.rank > 0 ? summed.extent[0] : 1;
    piece = max_of(1, min_of(run, kSumBlock));
    pieces = ceil_div(run, piece);
    pieces_per_part = kSumBlock / piece;
    parts = by_columns ? ceil_div(terms, kBlockRows) : ceil_div(summed.count(1) * pieces, pieces_per_part);
  }

  size_t workspace() const { return terms <= 1 ? 0 : static_cast<size_t>(cells * parts) * sizeof(double); }
};

// partial[part * cells + cell]; a task is (outer kept cell, tile of columns, part).
template <class T, class Term>
void sum_by_columns(const Sums& s, const T* dy, const T* other, double* partial, int threads,
                    const Term& term) {
  constexpr int64_t kTile = 1024;
  const int64_t width = s.kept.extent[0];
  const int64_t tiles = ceil_div(width, kTile), outer = s.kept.count(1);
  const bool other_repeats = s.kept.stride[0][1] == 0;
  parallel_for(threads_for(s.cells * s.terms, threads), outer * tiles * s.parts, [&](int64_t task) {
    const int64_t part = task / (outer * tiles), place = task - part * (outer * tiles);
    const int64_t index = place / tiles, column = (place - index * tiles) * kTile;
    int64_t start[2];
    s.kept.locate(index, 1, start);
    const auto add = [&](int64_t row, int64_t c, int64_t count, Vec<T>* sums) {
      int64_t offset[2];
      s.summed.locate(row, 0, offset);
      const Line<T> line = {other + start[1] + offset[1] + (other_repeats ? 0 : column), other_repeats};
      sums[0] += term(load_up_to(dy + start[0] + offset[0] + column + c, count), line.at(c, count));
    };
    const int64_t begin = part * kBlockRows, end = min_of(begin + kBlockRows, s.terms);
    const int64_t columns = min_of(kTile, width - column);
    double* sums = partial + part * s.cells + index * width + column;
    for (int64_t i = 0; i < columns; ++i) sums[i] = 0;
    sum_columns<T, 1>(begin, end, columns, add, sums);
  });
}

// partial[part * cells + cell]; a task is one of them.
template <class T, class Term>
void sum_by_rows(const Sums& s, const T* dy, const T* other, double* partial, int threads, const Term& term) {
  const int64_t run = s.summed.extent[0], all_pieces = s.summed.count(1) * s.pieces;
  const bool other_repeats = s.summed.stride[0][1] == 0;
  const auto sum_part = [&](int64_t cell, int64_t part) {
    int64_t start[2];
    s.kept.locate(cell, 0, start);
    double total = 0;
    const int64_t end = min_of((part + 1) * s.pieces_per_part, all_pieces);
    for (int64_t i = part * s.pieces_per_part; i < end; ++i) {
      const int64_t index = i / s.pieces, from = (i - index * s.pieces) * s.piece;
      int64_t offset[2];
      s.summed.locate(index, 1, offset);
      const T* dy_run = dy + start[0] + offset[0] + from;
      const Line<T> line = {other + start[1] + offset[1] + (other_repeats ? 0 : from), other_repeats};
      double sums[1];
      sum_vectors<T, 1>(
          min_of(s.piece, run - from),
          [&](int64_t c, int64_t count, Vec<T>* sum) {
            sum[0] += term(load_up_to(dy_run + c, count), line.at(c, count));
          },
          sums);
      total += sums[0];
    }
    return total;
  };
  const int64_t terms_per_part = s.pieces_per_part * s.piece;
  parallel_blocks(threads_for(s.cells * s.terms, threads), s.cells * s.parts, rows_per_block(terms_per_part),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t i = begin; i < end; ++i) {
                      const int64_t part = i / s.cells;
                      partial[i] = sum_part(i - part * s.cells, part);
                    }
                  });
}

template <class T, class Term>
void gradient(const BinarySpec& spec, int operand, const T* dy, const T* other, T* d, const Context& context,
              const Term& term) {
  if (!d) return;
  const Sums sums(spec, operand);
  if (sums.terms == 1) {
    Axes<3> axes;
    for_each_axis(spec, [&](int64_t extent, const int64_t (&strides)[3]) {
      axes.append(extent, {strides[operand], strides[0], strides[kA + kB - operand]});
    });
    if (axes.rank == 0) axes.append(1, {1, 1, 1});
    return apply_binary(axes, dy, other, d, context.threads, term);
  }
  if (sums.terms == 0) {
    for (int64_t i = 0; i < sums.cells; ++i) d[i] = 0;
    return;
  }
  double* partial = static_cast<double*>(context.workspace);
  if (sums.by_columns) {
    sum_by_columns(sums, dy, other, partial, context.threads, term);
  } else {
    sum_by_rows(sums, dy, other, partial, context.threads, term);
  }
  add_up_blocks(sums.parts, sums.cells, partial, context.threads);
  for (int64_t i = 0; i < sums.cells; ++i) d[i] = static_cast<T>(partial[i]);
}

template <class T>
size_t binary_backward_workspace(const BinarySpec& spec, int) {
  const size_t a = Sums(spec, kA).workspace(), b = Sums(spec, kB).workspace();
  return a > b ? a : b;
}

template <class T>
void binary_backward(const BinarySpec& spec, const T* dy, const T* a, const T* b, T* da, T* db,
                     const Context& context) {
  switch (spec.kind) {
    case BinaryKind::add:
      gradient(spec, kA, dy, b, da, context, Pass());
      return gradient(spec, kB, dy, a, db, context, Pass());
    case BinaryKind::subtract:
      gradient(spec, kA, dy, b, da, context, Pass());
      return gradient(spec, kB, dy, a, db, context, Negate());
    case BinaryKind::multiply:
      gradient(spec, kA, dy, b, da, context, Multiply());
      return gradient(spec, kB, dy, a, db, context, Multiply());
    case BinaryKind::maximum:
    case BinaryKind::minimum:
    case BinaryKind::divide:
      break;  // ops make these gradients of the others
  }
}

}  // namespace

void add_binary_backward(KernelTable& table) {
  FC_ADD_WITH_WORKSPACE(table, binary_backward);
}

}  // namespace fc::cpu::FC_ISA
