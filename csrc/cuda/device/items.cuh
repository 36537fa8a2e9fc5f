// items.cuh — kWide neighbours that one instruction moves: as a Pack, of any power of two up to 16 bytes.
#pragma once

#include "cuda/device/storage.cuh"

namespace fc::cuda {

template <class T, int kWide>
struct alignas(sizeof(T) * kWide) Items {
  static_assert(sizeof(T) * kWide <= 16 && (kWide & (kWide - 1)) == 0);
  T v[kWide];
};

template <int kWide, class T>
__device__ __forceinline__ Items<T, kWide> load_items(const T* p) {
  return *reinterpret_cast<const Items<T, kWide>*>(p);
}
template <int kWide, class T>
__device__ __forceinline__ void store_items(T* p, const Items<T, kWide>& items) {
  *reinterpret_cast<Items<T, kWide>*>(p) = items;
}

}  // namespace fc::cuda
