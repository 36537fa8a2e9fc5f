// buffer.h — a growing block of 64-byte aligned memory, e.g. a workspace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace fc {

class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Buffer() { release(); }

  // At least `bytes` bytes; the contents do not survive growth.
  void* at_least(size_t bytes) {
    if (bytes > size_) {
      release();
      data_ = ::operator new(bytes, std::align_val_t(kAlignment));
      size_ = bytes;
    }
    return data_;
  }

 private:
  static constexpr size_t kAlignment = 64;

  void release() {
    ::operator delete(data_, std::align_val_t(kAlignment));
    data_ = nullptr;
    size_ = 0;
  }

  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace fc
