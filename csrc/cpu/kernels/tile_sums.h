// tile_sums.h — what the micro-kernels with M x V vectors of sums in registers share: how these begin, grow and end.
//
// `tail` lanes of the last of the V vectors are loaded and stored: kLanes<T>, as a constant, where out is padded.
// row(i) points to a row of out. Lambdas should hold what they need by value: a tile that one refers to stays in memory.
#pragma once

#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {

template <class T, int M, int V>
struct TileSums {
  Vec<T> sum[M][V];

  // From nothing, or, with `accumulate`, from what row(i) points to.
  template <class Row>
  FC_INLINE void begin(bool accumulate, int64_t tail, const Row& row) {
    if (accumulate) {
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) sum[i][v] = load_up_to(row(i) + v * kLanes<T>, lanes(v, tail));
    } else {
#pragma GCC unroll 16
      for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) sum[i][v] = Vec<T>{};
    }
  }

  // One step of every chain: sum[i] += value(i) · column.
  template <class Value>
  FC_INLINE void add(const Vec<T> (&column)[V], const Value& value) {
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i) {
      const Vec<T> factor = broadcast(value(i));
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) sum[i][v] = fma<T>(factor, column[v], sum[i][v]);
    }
  }

  // The same with the whole vectors that lie at b.
  template <class Value>
  FC_INLINE void add(const T* b, const Value& value) {
    Vec<T> column[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) column[v] = load(b + v * kLanes<T>);
    add(column, value);
  }

  template <class Row>
  FC_INLINE void write(int64_t tail, const Row& row) const {
#pragma GCC unroll 16
    for (int i = 0; i < M; ++i)
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) store_up_to(row(i) + v * kLanes<T>, sum[i][v], lanes(v, tail));
  }

 private:
  static FC_INLINE int64_t lanes(int v, int64_t tail) { return v == V - 1 ? tail : kLanes<T>; }
};

}  // namespace fc::cpu::FC_ISA
