// workspace.h — cuts a caller's workspace into 64-byte aligned parts, and counts the bytes when there is none
// yet.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fc::cpu::FC_ISA {

class WorkspaceCutter {
 public:
  explicit WorkspaceCutter(void* base) : base_(reinterpret_cast<uintptr_t>(base)) {}

  // Integers, not pointers: with a null base only bytes() is meant.
  template <class E>
  E* take(int64_t count) {
    E* part = reinterpret_cast<E*>(base_ + bytes_);
    bytes_ += (static_cast<size_t>(count) * sizeof(E) + 63) / 64 * 64;
    return part;
  }
  size_t bytes() const { return bytes_; }
  uintptr_t end() const { return base_ + bytes_; }

 private:
  uintptr_t base_;
  size_t bytes_ = 0;
};

// Enough for either of two kernels, of which the second may follow the first.
constexpr size_t either_workspace(size_t a, size_t b) {
  return a > b ? a : b;
}

// Equal private parts, one per thread, behind what `cutter` has taken.
struct SlotWorkspace {
  uintptr_t first = 0;
  size_t slot_bytes = 0, total_bytes = 0;

  SlotWorkspace() = default;
  SlotWorkspace(const WorkspaceCutter& cutter, size_t slot_bytes, int threads)
      : first(cutter.end()),
        slot_bytes(slot_bytes),
        total_bytes(cutter.bytes() + slot_bytes * static_cast<size_t>(threads)) {}

  WorkspaceCutter at(int slot) const {
    return WorkspaceCutter(reinterpret_cast<void*>(first + slot_bytes * static_cast<size_t>(slot)));
  }
};

}  // namespace fc::cpu::FC_ISA
