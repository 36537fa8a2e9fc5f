// fiber.cpp — stacks and the switch between them; AddressSanitizer is told of every switch.
#include "cuda/emulation/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define FC_ASAN 1
#else
#define FC_ASAN 0
#endif

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace fc::cuda::emulation {
namespace {

constexpr size_t kGuardBytes = 4096;
constexpr size_t kStackBytes = FC_ASAN ? 512 << 10 : 64 << 10;

}  // namespace

#if defined(__x86_64__)

// Stores the caller's stack pointer at *from, with the registers it expects back on that stack, and goes on
// where `to` stopped. System V ABI: rbx, rbp and r12 to r15 survive a call; so do the rounding modes, which
// no kernel changes.
extern "C" void fc_fiber_switch(void** from, void* to);
extern "C" void fc_fiber_begin();
asm(R"(
.text
.align 16
.hidden fc_fiber_switch
.globl fc_fiber_switch
.type fc_fiber_switch,@function
fc_fiber_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size fc_fiber_switch,.-fc_fiber_switch
.align 16
.hidden fc_fiber_begin
.globl fc_fiber_begin
.type fc_fiber_begin,@function
fc_fiber_begin:
  movq %r12, %rdi
  callq *%r13
  ud2
.size fc_fiber_begin,.-fc_fiber_begin
)");

struct Fiber::Machine {
  void* memory;
  void *fiber = nullptr, *caller = nullptr;  // stack pointers of whoever is not running
  const void* caller_stack = nullptr;
  size_t caller_size = 0;

  char* stack() const { return static_cast<char*>(memory) + kGuardBytes; }
  void prepare(void (*entry)(Fiber*), Fiber* self) {
    auto** top = reinterpret_cast<void**>(stack() + kStackBytes);
    *--top = nullptr;  // two words: the stack is aligned where fc_fiber_begin calls
    *--top = nullptr;
    *--top = reinterpret_cast<void*>(&fc_fiber_begin);  // where the first switch returns to
    *--top = nullptr;                                   // rbp
    *--top = nullptr;                                   // rbx
    *--top = self;                                      // r12
    *--top = reinterpret_cast<void*>(entry);            // r13
    *--top = nullptr;                                   // r14
    *--top = nullptr;                                   // r15
    fiber = top;
  }
  void enter() { fc_fiber_switch(&caller, fiber); }
  void leave() { fc_fiber_switch(&fiber, caller); }
};

#else

struct Fiber::Machine {
  void* memory;
  ucontext_t fiber, caller;
  const void* caller_stack = nullptr;
  size_t caller_size = 0;

  char* stack() const { return static_cast<char*>(memory) + kGuardBytes; }
  static void trampoline(unsigned low, unsigned high, unsigned entry_low, unsigned entry_high) {
    const auto join = [](unsigned l, unsigned h) { return uintptr_t{l} | uintptr_t{h} << 32; };
    reinterpret_cast<void (*)(Fiber*)>(join(entry_low, entry_high))(
        reinterpret_cast<Fiber*>(join(low, high)));
  }
  void prepare(void (*entry)(Fiber*), Fiber* self) {
    const auto s = reinterpret_cast<uintptr_t>(self), e = reinterpret_cast<uintptr_t>(entry);
    getcontext(&fiber);
    fiber.uc_stack.ss_sp = stack();
    fiber.uc_stack.ss_size = kStackBytes;
    fiber.uc_link = nullptr;
    makecontext(&fiber, reinterpret_cast<void (*)()>(&trampoline), 4, static_cast<unsigned>(s),
                static_cast<unsigned>(s >> 32), static_cast<unsigned>(e), static_cast<unsigned>(e >> 32));
  }
  void enter() { swapcontext(&caller, &fiber); }
  void leave() { swapcontext(&fiber, &caller); }
};

#endif

Fiber::Fiber() : machine_(new Machine{}) {
  machine_->memory = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (machine_->memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(machine_->memory, kGuardBytes, PROT_NONE);  // an overflow ends the process here, not elsewhere
}

Fiber::~Fiber() {
  munmap(machine_->memory, kGuardBytes + kStackBytes);
}

void Fiber::start(const std::function<void()>& body) {
  body_ = &body;
  done_ = false;
#if FC_ASAN
  __asan_unpoison_memory_region(machine_->stack(), kStackBytes);  // of an abandoned run
#endif
  machine_->prepare(&Fiber::enter, this);
}

void Fiber::enter(Fiber* self) {
#if FC_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &self->machine_->caller_stack, &self->machine_->caller_size);
#endif
  (*self->body_)();
  self->done_ = true;
#if FC_ASAN
  __sanitizer_start_switch_fiber(nullptr, self->machine_->caller_stack, self->machine_->caller_size);
#endif
  self->machine_->leave();
}

bool Fiber::resume() {
#if FC_ASAN
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, machine_->stack(), kStackBytes);
#endif
  machine_->enter();
#if FC_ASAN
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
  return done_;
}

void Fiber::pause() {
#if FC_ASAN
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, machine_->caller_stack, machine_->caller_size);
#endif
  machine_->leave();
#if FC_ASAN
  __sanitizer_finish_switch_fiber(fake, &machine_->caller_stack, &machine_->caller_size);
#endif
}

}  // namespace fc::cuda::emulation
