// fiber.h — a function that can stop in the middle and go on later, on one OS thread.
//
// A switch saves the registers that a call must preserve, changes stacks, and restores them: a few
// nanoseconds, where ucontext makes a system call each time. Other processors fall back on ucontext.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace fc::cuda::emulation {

class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Makes the fiber ready to run `body` from its beginning; what it ran before must be done or abandoned.
  // `body` must outlive the run and must not throw.
  void start(const std::function<void()>& body);
  // Runs until the body pauses or returns; true once it has returned.
  bool resume();
  // From inside the body: back to whoever called resume.
  void pause();

 private:
  struct Machine;
  static void enter(Fiber* self);

  std::unique_ptr<Machine> machine_;
  const std::function<void()>* body_ = nullptr;
  bool done_ = true;
};

}  // namespace fc::cuda::emulation
