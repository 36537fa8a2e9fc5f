// context.h — what a kernel gets besides its tensors.
#pragma once

namespace fc {

struct Context {
  void* workspace = nullptr;  // 64-byte aligned, at least what the kernel's workspace function asked for
  int threads = 1;            // upper bound; results never depend on it
};

}  // namespace fc
