// threads.cpp — the thread budget and its behaviour across fork().
#include "cpu/threads.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "core/check.h"
#include "cpu/cpu_info.h"

namespace fc::cpu {
namespace {

constexpr int kMaxThreads = 1024;

std::atomic<bool> team_started{false};
std::atomic<bool> forked{false};

// A positive whole number from the environment, or 0; "4,2" (OpenMP's nesting list) counts as 4.
int from_environment(const char* name) {
  const char* text = std::getenv(name);
  if (!text) return 0;
  char* end = nullptr;
  const long n = std::strtol(text, &end, 10);
  const bool whole = end != text && (*end == '\0' || *end == ',');
  return whole && n >= 1 && n <= kMaxThreads ? static_cast<int>(n) : 0;
}

std::atomic<int>& budget() {
  static std::atomic<int> n = [] {
    for (const char* name : {"FASTCONV_NUM_THREADS", "OMP_NUM_THREADS"}) {
      if (const int value = from_environment(name)) return value;
    }
    return usable_cpus();
  }();
  return n;
}

// How many threads run at once, the caller's included, when `wanted` are asked for. libgomp ends the process
// when the system refuses it a thread (ulimit -u, a full cgroup), so whoever wants a larger team tries first.
int startable(int wanted) {
  std::atomic<bool> done{false};
  std::vector<std::thread> team;
  try {
    while (static_cast<int>(team.size()) + 1 < wanted) team.emplace_back([&] { done.wait(false); });
  } catch (const std::system_error&) {
    // The budget shrinks to what started.
  }
  done.store(true);
  done.notify_all();
  for (std::thread& thread : team) thread.join();
  return static_cast<int>(team.size()) + 1;
}

// The largest team that is known to start.
std::atomic<int> tried{1};
std::mutex trying;

int tried_team(int wanted) {
  if (wanted <= tried.load()) return wanted;
  const std::lock_guard<std::mutex> lock(trying);
  if (wanted > tried.load()) tried.store(startable(wanted));
  return std::min(wanted, tried.load());
}

const int fork_handler = pthread_atfork(nullptr, nullptr, [] {
  if (team_started.load()) forked.store(true);
});

}  // namespace

int threads() {
  return budget().load();
}

void set_threads(int64_t n) {
  FC_CHECK(n >= 1 && n <= kMaxThreads, "[set_num_threads] n must be between 1 and ", kMaxThreads,
           ": expected n >= 1, got n=", n, ". Pass the number of threads kernels may use.");
  budget().store(static_cast<int>(n));
}

int threads_for_run() {
  const int n = serial_after_fork() ? 1 : threads();
  if (n <= 1) return n;
  team_started.store(true);  // before the lock in tried_team: a child forked meanwhile must not wait for it
  return tried_team(n);
}

bool serial_after_fork() {
  return fork_handler == 0 && forked.load();
}

}  // namespace fc::cpu
