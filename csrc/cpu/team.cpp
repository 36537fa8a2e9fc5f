// team.cpp — one team of workers per calling thread.
//
// Start      each worker has a word of its own. The caller writes `invited` there; the worker, which polls
//            it, writes `active` and takes part. A worker without work for kWorkerSpin sleeps, and an
//            invitation wakes it; one to a loop that wakes nobody passes a sleeper by. A caller that runs
//            many of these in quick succession does wake the others: they would have met them all awake.
//            As long as nobody else wants its CPU it spins for kAloneSpin, longer than a caller is away
//            between two steps of training
// Work       a member's share of the iterations is contiguous and the same in every loop of that length, so
//            data stay in its cache. It claims its share piece by piece, and then what is left of the others'
// End        when nothing is left, the caller takes back the invitations that nobody answered and waits for
//            active workers only. A worker that is kept from running, because it still wakes up or another
//            process has its CPU, costs the loop at most the piece it holds, and nothing if it holds none
// Places     Linux may wake a worker on the caller's CPU and leave both there for a long time, next to an
//            idle one; the worker sees it as soon as it runs, and moves
// Processes  the child of a fork() has no workers: it forgets all teams and starts others when it needs them
// Measured   bench/busy.py: steps alone and beside a busy process
// Tried      OpenMP, asleep between loops: tens of microseconds per loop. kWorkerSpin of 0, 5, 50, 100, 200
//            us: a sleeping worker takes tens of microseconds to come back, a spinning one loses its claim to
//            the CPU beside a busy process. kAloneAfter of 0, 20, 100 ms, 1 s: slower, beside others or in
//            turns with them. Loop::pieces of 1, 2, 8, 16: slower, or the same
#include "cpu/team.h"

#include <pthread.h>
#if defined(__linux__)
#include <sched.h>
#include <sys/resource.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "core/interrupt.h"
#include "cpu/watched_loop.h"

namespace fc::cpu {
namespace {

using Clock = std::chrono::steady_clock;

constexpr Clock::duration kWorkerSpin = std::chrono::microseconds(20);
constexpr Clock::duration kAloneSpin = std::chrono::microseconds(200);
constexpr Clock::duration kAloneAfter = std::chrono::milliseconds(5);  // without being put off the CPU
constexpr Clock::duration kCallerSpin = std::chrono::microseconds(100);
constexpr int kMissed = 32;  // loops in succession that others slept through, until they are woken

// What a worker does. The caller sets invited, and awaited: it sleeps until the worker is idle again. A new
// value that nobody sleeps on needs no system call.
enum State : int { idle, asleep, invited, active, awaited };

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Stores past the caches are not ordered like others; a caller that ran a loop alone has some, too.
void fence_streamed_stores() {
#if defined(__SSE2__)
  __builtin_ia32_sfence();
#endif
}

// Polls for about `limit`; whether the state became another than `from`.
bool changes_within(Clock::duration limit, const std::atomic<int>& state, int from) {
  const Clock::time_point end = Clock::now() + limit;
  do {
    for (int i = 0; i < 16; ++i) {
      if (state.load(std::memory_order_relaxed) != from) return true;
      relax();
    }
  } while (Clock::now() < end);
  return false;
}

// Sleeps in state `to` until another thread changes that; not at all where the state is no longer `from`.
void sleep_as(int to, std::atomic<int>& state, int from) {
  if (state.compare_exchange_strong(from, to)) state.wait(to);
}

int current_cpu() {
#if defined(__linux__)
  return sched_getcpu();
#else
  return -1;
#endif
}

// Moves this thread to another CPU than `cpu`, where it may.
void leave(int cpu) {
#if defined(__linux__)
  cpu_set_t all;
  if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof(all), &all) != 0) return;
  cpu_set_t others = all;
  CPU_CLR(cpu, &others);
  if (CPU_COUNT(&others) == 0 || sched_setaffinity(0, sizeof(others), &others) != 0) return;
  sched_setaffinity(0, sizeof(all), &all);
#endif
}

// Whether a thread has its CPU to itself, by what the system counts: how often it was put off while it ran.
class Solitude {
 public:
  bool holds() {
#if defined(RUSAGE_THREAD)
    struct rusage usage;
    if (getrusage(RUSAGE_THREAD, &usage) != 0) return false;
    const Clock::time_point now = Clock::now();
    if (usage.ru_nivcsw != put_off_) put_off_ = usage.ru_nivcsw, since_ = now;
    return now - since_ > kAloneAfter;
#else
    return false;
#endif
  }

 private:
  [[maybe_unused]] long put_off_ = 0;
  [[maybe_unused]] Clock::time_point since_{};
};

struct Member {
  alignas(64) std::atomic<int> state{idle};
  alignas(64) std::atomic<int64_t> next{0};  // of its share: the first iteration that nobody has claimed
  int64_t end = 0;
};

thread_local bool in_loop = false;  // a worker is always, and a loop inside a loop is run by one thread

class Team {
 public:
  void run(Crew crew, const Loop& loop) {
    if (!crew.wakes && (members_.empty() || all_asleep())) {
      crew.wakes = misses_too_many();
      if (!crew.wakes) {
        loop.body(loop.function, 0, loop.n, 0);
        last_miss_ = Clock::now();
        return;
      }
    }
    grow(crew.threads);
    loop_ = loop;
    caller_cpu_.store(current_cpu(), std::memory_order_relaxed);
    count_ =
        static_cast<int>(std::min<int64_t>({crew.threads, static_cast<int64_t>(members_.size()), loop.n}));
    piece_ = std::max<int64_t>(1, loop.n / (count_ * loop.pieces));
    for (int i = 0; i < count_; ++i) {
      members_[i].next.store(loop.n * i / count_, std::memory_order_relaxed);
      members_[i].end = loop.n * (i + 1) / count_;
    }
    fence_streamed_stores();
    for (int i = 1; i < count_; ++i) invite(members_[i].state, crew.wakes);
    work(0);
    for (int i = 1; i < count_; ++i) join(members_[i].state);
  }

 private:
  // Ends with all results of this thread on their way to the others, streamed ones, too: see stream.h.
  void work(int slot) {
    for (int i = 0; i < count_; ++i) {
      Member& share = members_[(slot + i) % count_];
      while (share.next.load(std::memory_order_relaxed) < share.end) {
        const int64_t begin = share.next.fetch_add(piece_, std::memory_order_relaxed);
        if (begin >= share.end) break;
        loop_.body(loop_.function, begin, std::min(begin + piece_, share.end), slot);
      }
    }
    fence_streamed_stores();
  }

  static void invite(std::atomic<int>& state, bool wakes) {
    if (wakes) {
      if (state.exchange(invited) == asleep) state.notify_one();
    } else {
      int awake = idle;
      state.compare_exchange_strong(awake, invited);
    }
  }

  bool all_asleep() const {
    return std::all_of(members_.begin() + 1, members_.end(),
                       [](const Member& m) { return m.state.load(std::memory_order_relaxed) == asleep; });
  }

  // Whether so many loops followed each other so fast that workers, once awake, would have spun on from one
  // to the next.
  bool misses_too_many() {
    missed_ = Clock::now() - last_miss_ < kWorkerSpin ? missed_ + 1 : 0;
    if (missed_ < kMissed) return false;
    missed_ = 0;
    return true;
  }

  static void join(std::atomic<int>& state) {
    int unanswered = invited;
    if (state.compare_exchange_strong(unanswered, idle)) return;
    if (!changes_within(kCallerSpin, state, active)) sleep_as(awaited, state, active);
    state.load(std::memory_order_acquire);  // what the worker wrote
  }

  void attend(int slot, std::atomic<int>& state) {
    in_loop = true;
    Solitude solitude;
    const auto invited_within = [&](Clock::duration limit) { return changes_within(limit, state, idle); };
    for (;;) {
      const bool found = invited_within(kWorkerSpin) || (solitude.holds() && invited_within(kAloneSpin));
      if (!found) sleep_as(asleep, state, idle);
      const int taken = caller_cpu_.load(std::memory_order_relaxed);
      if (taken == current_cpu()) leave(taken);
      int invitation = invited;
      if (!state.compare_exchange_strong(invitation, active)) continue;  // it has been taken back
      work(slot);
      if (state.exchange(idle) == awaited) state.notify_one();
    }
  }

  // Workers up to `threads` members, or as many as the system gives.
  void grow(int threads) {
    if (members_.empty()) members_.emplace_back();  // the caller
    if (refused_ || static_cast<int>(members_.size()) >= threads) return;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // workers inherit it: signals are for the program's threads
    size_t ready = members_.size();
    try {
      for (; static_cast<int>(ready) < threads; ready = members_.size()) {
        const int slot = static_cast<int>(ready);
        std::atomic<int>& state = members_.emplace_back().state;
        std::thread([this, slot, &state] { attend(slot, state); }).detach();
      }
    } catch (const std::exception&) {  // no more threads, or no memory for one
      if (members_.size() > ready) members_.pop_back();
      refused_ = true;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  std::deque<Member> members_;  // workers keep references to theirs
  Loop loop_{};
  std::atomic<int> caller_cpu_{-1};
  int count_ = 0;      // members of this loop
  int64_t piece_ = 1;  // iterations
  bool refused_ = false;
  int missed_ = 0;  // of the loops that wake nobody, in succession
  Clock::time_point last_miss_{};
};

// Teams whose threads have ended, for others to take.
struct Pool {
  std::mutex lock;
  std::vector<Team*> teams;
};

// Pools and teams live for ever: workers may still run while the process ends.
std::atomic<Pool*> pool{new Pool};
[[maybe_unused]] const int fork_handler = pthread_atfork(nullptr, nullptr, [] { pool.store(new Pool); });

class Ownership {
 public:
  Team& team() {
    Pool* const now = pool.load(std::memory_order_relaxed);
    if (from_ != now) take(now);
    return *team_;
  }

  ~Ownership() {
    if (from_ == nullptr || from_ != pool.load()) return;
    const std::lock_guard<std::mutex> lock(from_->lock);
    from_->teams.push_back(team_);
  }

 private:
  void take(Pool* pool) {
    const std::lock_guard<std::mutex> lock(pool->lock);
    if (pool->teams.empty()) pool->teams.push_back(new Team);
    team_ = pool->teams.back();
    pool->teams.pop_back();
    from_ = pool;
  }

  Pool* from_ = nullptr;
  Team* team_ = nullptr;
};

thread_local Ownership own;

// This thread is in a loop as long as it lives; an exception, such as no memory for a team, ends that too.
struct InLoop {
  InLoop() { in_loop = true; }
  ~InLoop() { in_loop = false; }
};

void run_outer_loop(Crew crew, const Loop& loop) {
  const InLoop inside;
  if (crew.threads > 1) {
    own.team().run(crew, loop);
  } else {
    loop.body(loop.function, 0, loop.n, 0);
  }
}

}  // namespace

void run_loop(Crew crew, const Loop& loop) {
  const Interrupt* const interrupt = Interruptible::current();
  if (in_loop || (crew.threads <= 1 && interrupt == nullptr)) return loop.body(loop.function, 0, loop.n, 0);
  if (interrupt == nullptr) return run_outer_loop(crew, loop);
  const WatchedLoop watched(loop, *interrupt);
  run_outer_loop(crew, watched.loop());
  watched.finish();
}

}  // namespace fc::cpu
