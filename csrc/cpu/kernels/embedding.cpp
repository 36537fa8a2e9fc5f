// embedding.cpp — rows looked up in a table, and their gradient.
//
// Math       y[i] = table[ids[i]];  dtable[r] = Σ dy[i] over ids[i] = r
// Shapes     ids (count), floats whose fraction is dropped  table, dtable (rows,width)  y, dy (count,width)
// Blocking   the gradient first lists the places of each row, by counting; then every row is summed once
// Threads    over blocks of ids, or of the table's rows: a row has one writer
// Numerics   a row is summed in T in the order of the ids
// Workspace  embedding_backward_workspace(spec): where the list of each row begins, and the lists
// Edges      an id outside the table makes a row of NaN and has no gradient; a row nobody asked for gets 0
#include <cstring>
#include <limits>

#include "core/embedding_spec.h"
#include "cpu/kernels/table.h"
#include "cpu/kernels/work.h"
#include "cpu/kernels/workspace.h"
#include "cpu/parallel.h"
#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {
namespace {

// The row that an id names, or -1: comparisons first, for NaN and what no integer holds.
template <class T>
int64_t row_of(T id, int64_t rows) {
  return id > T(-1) && id < static_cast<T>(rows) ? static_cast<int64_t>(id) : -1;
}

template <class T>
void embedding(const EmbeddingSpec& s, const T* ids, const T* table, T* y, const Context& context) {
  const Crew threads = threads_for(s.count * s.width, context.threads);
  parallel_blocks(threads, s.count, rows_per_block(s.width), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = row_of(ids[i], s.rows);
      T* to = y + i * s.width;
      if (row < 0) {
        for (int64_t j = 0; j < s.width; ++j) to[j] = std::numeric_limits<T>::quiet_NaN();
      } else {
        std::memcpy(to, table + row * s.width, static_cast<size_t>(s.width) * sizeof(T));
      }
    }
  });
}

// The places of each row's ids: list[starts[r]] to list[starts[r + 1]], ascending.
template <class T>
struct Places {
  int64_t *starts, *list;

  Places(const EmbeddingSpec& s, WorkspaceCutter& cutter) {
    starts = cutter.take<int64_t>(s.rows + 2);
    list = cutter.take<int64_t>(s.count);
  }

  void fill(const EmbeddingSpec& s, const T* ids) const {
    int64_t* next = starts + 1;  // where a row's next place goes; in the end, where the following row begins
    for (int64_t r = 0; r < s.rows + 2; ++r) starts[r] = 0;
    for (int64_t i = 0; i < s.count; ++i) {
      if (const int64_t row = row_of(ids[i], s.rows); row >= 0) ++next[row + 1];
    }
    for (int64_t r = 0; r < s.rows; ++r) next[r + 1] += next[r];
    for (int64_t i = 0; i < s.count; ++i) {
      if (const int64_t row = row_of(ids[i], s.rows); row >= 0) list[next[row]++] = i;
    }
  }
};

template <class T>
size_t embedding_backward_workspace(const EmbeddingSpec& s, int) {
  WorkspaceCutter cutter(nullptr);
  Places<T>(s, cutter);
  return cutter.bytes();
}

template <class T>
void embedding_backward(const EmbeddingSpec& s, const T* dy, const T* ids, T* dtable,
                        const Context& context) {
  WorkspaceCutter cutter(context.workspace);
  const Places<T> places(s, cutter);
  places.fill(s, ids);
  const Crew threads = threads_for((s.rows + s.count) * s.width, context.threads);
  parallel_blocks(threads, s.rows, rows_per_block(s.width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      T* sum = dtable + row * s.width;
      for (int64_t j = 0; j < s.width; ++j) sum[j] = 0;
      for (int64_t k = places.starts[row]; k < places.starts[row + 1]; ++k) {
        const T* from = dy + places.list[k] * s.width;
        for_each_vector<T>(s.width, [&](int64_t j, int64_t n) {
          store_up_to(sum + j, load_up_to(sum + j, n) + load_up_to(from + j, n), n);
        });
      }
    }
  });
}

}  // namespace

void add_embedding(KernelTable& table) {
  FC_ADD(table, embedding);
  FC_ADD_WITH_WORKSPACE(table, embedding_backward);
}

}  // namespace fc::cpu::FC_ISA
