// block.cpp — the scheduler of a block's fibers, and what they wait for.
#include "cuda/emulation/block.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <new>
#include <numeric>
#include <stdexcept>

#include "cuda/emulation/launches.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define FC_POISON(p, n) __asan_poison_memory_region(p, n)
#define FC_UNPOISON(p, n) __asan_unpoison_memory_region(p, n)
#else
#define FC_POISON(p, n) (void)0
#define FC_UNPOISON(p, n) (void)0
#endif

namespace fc::cuda::emulation {
namespace {

constexpr size_t kSharedBytes = 228 << 10;  // of a multiprocessor of Hopper
constexpr size_t kSharedAlignment = 1024;   // what TMA's widest swizzle asks for
constexpr size_t kRedzone = 64;
constexpr unsigned kMaxThreads = 1024;

thread_local Block* current_block = nullptr;
Order order_in_force = Order::forward;
std::atomic<uint64_t> launches_so_far = 0;

uint64_t next_random(uint64_t& state) {  // xorshift64, Marsaglia 2003
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

}  // namespace

void set_order(Order order) {
  order_in_force = order;
}

uint64_t launches_run() {
  return launches_so_far;
}

Block& Block::current() {
  return *current_block;
}

Dim3 Block::thread() const {
  return {running_ % dim.x, running_ / dim.x % dim.y, running_ / (dim.x * dim.y)};
}

void Block::run_grid(Dim3 grid, Dim3 dim, size_t dynamic_shared_bytes, const std::function<void()>& body) {
  const uint64_t threads = dim.count(), blocks = grid.count();
  if (threads == 0 || threads > kMaxThreads || blocks == 0 || grid.y > 65535 || grid.z > 65535 ||
      grid.x > 0x7fffffffu || dynamic_shared_bytes > kSharedBytes - 1024) {
    throw std::logic_error("invalid configuration of a kernel launch");
  }
  thread_local Block block;  // keeps the stacks from launch to launch
  if (current_block != nullptr) throw std::logic_error("a kernel was launched from a kernel");
  block.grid = grid;
  block.dim = dim;
  block.dynamic_bytes_ = dynamic_shared_bytes;
  current_block = &block;
  ++launches_so_far;
  try {
    for (uint64_t i = 0; i < blocks; ++i) {
      const uint64_t b = order_in_force == Order::forward ? i : blocks - 1 - i;
      block.index = Dim3(static_cast<unsigned>(b % grid.x), static_cast<unsigned>(b / grid.x % grid.y),
                         static_cast<unsigned>(b / (uint64_t{grid.x} * grid.y)));
      block.run_block(body);
    }
  } catch (...) {
    current_block = nullptr;
    throw;
  }
  current_block = nullptr;
}

void Block::run_block(const std::function<void()>& body) {
  const auto n = static_cast<unsigned>(dim.count());
  const unsigned warps = (n + kWarp - 1) / kWarp;
  while (fibers_.size() < n) fibers_.push_back(std::make_unique<Fiber>());
  turns_.resize(n);
  std::iota(turns_.begin(), turns_.end(), 0u);
  if (order_in_force == Order::reversed) std::reverse(turns_.begin(), turns_.end());
  finished_.assign(n, 0);
  warps_.assign(warps, Warp{});
  for (Barrier& barrier : barriers_) barrier = Barrier{};
  alive_ = n;
  ++serial_;
  declared_.clear();
  if (!memory_) {
    memory_.reset(static_cast<unsigned char*>(std::aligned_alloc(kSharedAlignment, kSharedBytes)));
    if (!memory_) throw std::bad_alloc();
  }
  FC_POISON(memory_.get(), kSharedBytes);
  used_ = 0;
  dynamic_ = carve(dynamic_bytes_, kSharedAlignment);

  for (unsigned i = 0; i < n; ++i) fibers_[i]->start(body);
  for (int idle = 0; alive_ > 0;) {
    const uint64_t before = progress_;
    if (order_in_force == Order::shuffled) {
      for (unsigned i = n; i > 1; --i) std::swap(turns_[i - 1], turns_[next_random(random_) % i]);
    }
    for (unsigned rank : turns_) {
      if (!finished_[rank]) run_thread(rank);
    }
    idle = before == progress_ ? idle + 1 : 0;
    if (idle > 2) {
      throw std::logic_error(
          "the threads of a block wait for each other for ever: not all reach the barrier");
    }
  }
}

void Block::run_thread(unsigned rank) {
  running_ = rank;
  if (!fibers_[rank]->resume()) return;
  finished_[rank] = 1;
  on_exit();
}

// Barriers of the whole block or warp no longer count a thread that has returned.
void Block::on_exit() {
  ++progress_;
  --alive_;
  Barrier& all = barriers_[0];
  if (all.arrived > 0 && all.arrived == alive_) {
    all.arrived = 0;
    ++all.generation;
  }
}

void Block::arrive(Barrier& barrier, unsigned expected) {
  const uint64_t mine = barrier.generation;
  if (++barrier.arrived >= expected) {
    barrier.arrived = 0;
    ++barrier.generation;
    ++progress_;
  }
  // Even the last to arrive gives way, so that the order of turns decides who goes on first.
  const unsigned me = running_;
  do {
    fibers_[me]->pause();
  } while (barrier.generation == mine);
  ++progress_;
}

void Block::sync(unsigned id, unsigned count) {
  arrive(barriers_[id], id == 0 ? alive_ : count);
}

void Block::sync_warp(uint32_t mask) {
  Warp& warp = warps_[running_ / kWarp];
  const unsigned in_warp = std::min(kWarp, static_cast<unsigned>(dim.count()) - running_ / kWarp * kWarp);
  const uint32_t present = in_warp == kWarp ? ~0u : (1u << in_warp) - 1;
  arrive(warp.barrier, static_cast<unsigned>(std::popcount(mask & present)));
}

const uint64_t* Block::exchange(uint64_t value, uint32_t mask) {
  Warp& warp = warps_[running_ / kWarp];
  const unsigned me = lane();
  // Two sets of slots: whoever reads late still finds its exchange while others write the next.
  uint64_t* slots = warp.slots[warp.phase[me]++ % 2];
  slots[me] = value;
  sync_warp(mask);
  return slots;
}

const Block::Words* Block::exchange_words(const uint32_t* words, int count) {
  Warp& warp = warps_[running_ / kWarp];
  const unsigned me = lane();
  Words* slots = warp.words[warp.phase[me]++ % 2];
  std::copy_n(words, count, slots[me]);
  sync_warp(~0u);
  return slots;
}

void Block::wait_until(const std::function<bool()>& condition) {
  const unsigned me = running_;
  while (!condition()) fibers_[me]->pause();
  ++progress_;
}

void* Block::carve(size_t bytes, size_t alignment) {
  const size_t at = (used_ + kRedzone + alignment - 1) / alignment * alignment;
  if (at + bytes + kRedzone > kSharedBytes) throw std::logic_error("a block asks for too much shared memory");
  used_ = at + bytes;
  FC_UNPOISON(memory_.get() + at, bytes);
  std::memset(memory_.get() + at, 0xff, bytes);  // every float is NaN
  return memory_.get() + at;
}

void* Block::shared(const void* key, size_t bytes, size_t alignment) {
  for (const Declared& d : declared_) {
    if (d.key == key) return d.at;
  }
  declared_.push_back({key, carve(bytes, alignment)});
  return declared_.back().at;
}

}  // namespace fc::cuda::emulation
