// pool2d.h — what the pooling kernels share; each file adds its own entries.
#pragma once

#include <limits>

#include "core/pool2d_spec.h"
#include "cpu/kernels/table.h"
#include "cpu/simd/vec.h"

namespace fc::cpu::FC_ISA {

void add_pool2d_forward(KernelTable& table);
void add_pool2d_backward(KernelTable& table);
void add_pool2d_rescan(KernelTable& table);

// Which of two values wins a window: NaN first, then the larger (smaller), then the one that came first.
// kWorst is beaten by any other value.
struct Max {
  template <class T>
  static constexpr T kWorst = -std::numeric_limits<T>::infinity();
  template <class T>
  static FC_INLINE IntVec<T> beats(Vec<T> v, Vec<T> best) {
    return ~(v <= best) & (best == best);
  }
};

struct Min {
  template <class T>
  static constexpr T kWorst = std::numeric_limits<T>::infinity();
  template <class T>
  static FC_INLINE IntVec<T> beats(Vec<T> v, Vec<T> best) {
    return ~(v >= best) & (best == best);
  }
};

// Winners are numbered r * S + s, one byte each in memory, one lane each in registers.
template <class T>
struct BytesOf {
  typedef uint8_t type __attribute__((vector_size(kLanes<T>)));
};

template <class T>
FC_INLINE IntVec<T> load_bytes(const uint8_t* p, int64_t count) {
  typename BytesOf<T>::type bytes{};
  std::memcpy(&bytes, p, static_cast<size_t>(count));
  return __builtin_convertvector(bytes, IntVec<T>);
}

template <class T>
FC_INLINE void store_bytes(uint8_t* p, IntVec<T> v, int64_t count) {
  const auto bytes = __builtin_convertvector(v, typename BytesOf<T>::type);
  std::memcpy(p, &bytes, static_cast<size_t>(count));
}

}  // namespace fc::cpu::FC_ISA
