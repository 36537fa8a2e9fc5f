// capability.cuh — the compute capability of the current device: 80 for 8.0, 90 for 9.0.
//
// Asked once per device. No stream is touched, so that kernels may be chosen while a graph is captured. On
// the host it is what a test sets (emulation/capability.h).
#pragma once

#include "cuda/device/runtime.cuh"

#if defined(__CUDACC__)
#include <algorithm>
#include <array>
#include <atomic>
#else
#include "cuda/emulation/capability.h"
#endif

namespace fc::cuda {

#if defined(__CUDACC__)

// The oldest GPU that this build is for: what only older ones need is left out.
inline constexpr int kOldestCapability = std::min({__CUDA_ARCH_LIST__}) / 10;

inline int ask_capability(int device) {
  int major = 0, minor = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device),
        "asking for a device's compute capability");
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device),
        "asking for a device's compute capability");
  return 10 * major + minor;
}

inline int capability() {
  constexpr size_t kRemembered = 64;
  static std::array<std::atomic<int>, kRemembered> known{};  // 0: not asked yet
  int device = 0;
  check(cudaGetDevice(&device), "asking for the current device");
  const auto i = static_cast<size_t>(device);
  if (i >= kRemembered) return ask_capability(device);
  if (known[i] == 0) known[i] = ask_capability(device);
  return known[i];
}

#else

inline constexpr int kOldestCapability = 75;

inline int capability() {
  return emulation::capability_in_force;
}

#endif

}  // namespace fc::cuda
