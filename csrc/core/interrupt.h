// interrupt.h — how a kernel that runs for long is ended by the user.
#pragma once

#include <functional>

namespace fc {

// Asks whether the user wants to end what runs, and throws if so.
using Interrupt = std::function<void()>;

// While it lives, the loops over threads that this thread begins ask every few milliseconds, and leave by the
// exception, with a part of their iterations done: what the kernel writes is then worthless.
class Interruptible {
 public:
  explicit Interruptible(const Interrupt& interrupt) { current_ = &interrupt; }
  ~Interruptible() { current_ = before_; }
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

  static const Interrupt* current() { return current_; }  // null: nobody wants to know

 private:
  inline static thread_local const Interrupt* current_ = nullptr;
  const Interrupt* const before_ = current_;  // the interrupt may run kernels itself
};

}  // namespace fc
