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
#if defined(__CUDA_ARCH__)
  if constexpr (sizeof(items) == 16) {  // left to itself the compiler sometimes writes four words
    uint4 w;
    memcpy(&w, &items, sizeof(w));
    asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(p)), "r"(w.x),
                 "r"(w.y), "r"(w.z), "r"(w.w)
                 : "memory");
    return;
  }
#endif
  *reinterpret_cast<Items<T, kWide>*>(p) = items;
}

}  // namespace fc::cuda
