// async_copy.h — cp.async on the host, as late as it may be: bytes arrive when their thread waits for them.
//
// Until then the destination is poison (NaN), so that a kernel that reads too early gives NaN.
#pragma once

#include <cstring>
#include <deque>
#include <vector>

#include "cuda/emulation/block.h"

namespace fc::cuda::emulation {

struct PendingCopy {
  void* to;
  const void* from;
  unsigned bytes, valid;
};

// Of each thread of the running block: the groups under way, the last one still open.
struct PendingCopies {
  std::deque<std::vector<PendingCopy>> closed;
  std::vector<PendingCopy> open;

  static PendingCopies& current() {
    thread_local std::vector<PendingCopies> of_thread(1024);
    return of_thread[Block::current().rank()];
  }
};

inline void copy_async(void* to, const void* from, unsigned bytes, unsigned valid) {
  std::memset(to, 0xff, bytes);
  PendingCopies::current().open.push_back({to, from, bytes, valid});
}

inline void commit_copies() {
  PendingCopies& copies = PendingCopies::current();
  copies.closed.push_back(std::move(copies.open));
  copies.open.clear();
}

inline void wait_copies(size_t under_way) {
  PendingCopies& copies = PendingCopies::current();
  while (copies.closed.size() > under_way) {
    for (const PendingCopy& copy : copies.closed.front()) {
      std::memset(copy.to, 0, copy.bytes);
      std::memcpy(copy.to, copy.from, copy.valid);
    }
    copies.closed.pop_front();
  }
}

}  // namespace fc::cuda::emulation
