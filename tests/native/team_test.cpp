// team_test.cpp — csrc/cpu/team.cpp under a race detector: many loops, many callers, loops inside loops,
// fork().
//
// Loops write plain memory, which is what kernels do: an iteration that two threads ran, a slot that two
// threads held, or a result that the caller reads too early is a data race that ThreadSanitizer reports, and
// mostly a wrong sum as well. Run it with `tests/native/sanitize thread`; without a sanitizer it checks the
// sums.
#include "cpu/team.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <thread>
#include <vector>

#define FC_ISA native
#include "cpu/parallel.h"

namespace {

using fc::cpu::native::parallel_for;
using fc::cpu::native::parallel_for_slots;

#if defined(__SANITIZE_THREAD__)  // GCC's
constexpr bool kForks = false;  // its detector dies where a forked child starts threads; Clang's can bear it
#else
constexpr bool kForks = true;
#endif

void expect(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "team_test: %s\n", what);
  std::abort();
}

// Steps that read what the step before wrote, as a network's do. Returns a number that any lost or repeated
// iteration changes.
int64_t train(int steps, int64_t width) {
  std::vector<int64_t> values(width), next(width);
  std::iota(values.begin(), values.end(), 0);
  for (int step = 0; step < steps; ++step) {
    const int threads = 1 + step % 5;  // the team grows, and idle workers stay idle
    parallel_for(threads, width, [&](int64_t i) { next[i] = values[i] + values[(i + 1) % width] % 7; });
    values.swap(next);
  }
  return std::accumulate(values.begin(), values.end(), int64_t{0});
}

void each_iteration_runs_once() {
  for (int64_t n = 0; n < 300; ++n) {
    std::vector<int> runs(n);
    parallel_for(4, n, [&](int64_t i) { ++runs[i]; });
    for (const int count : runs) expect(count == 1, "an iteration ran more or less than once");
  }
}

void a_slot_belongs_to_one_thread() {
  struct alignas(64) Share {
    int64_t iterations = 0;
  };
  for (int repeat = 0; repeat < 300; ++repeat) {
    std::vector<Share> shares(4);
    parallel_for_slots(4, 1000, [&](int64_t, int slot) { ++shares[slot].iterations; });
    int64_t total = 0;
    for (const Share& share : shares) total += share.iterations;
    expect(total == 1000, "the slots' iterations do not add up");
  }
}

void a_loop_inside_a_loop_runs_on_its_thread() {
  std::vector<int64_t> sums(64);
  for (int repeat = 0; repeat < 100; ++repeat) {
    parallel_for(4, 64, [&](int64_t i) {
      int64_t sum = 0;  // shared by the inner loop's iterations: no race only when one thread runs them
      parallel_for(4, 50, [&](int64_t j) { sum += i * j; });
      sums[i] = sum;
    });
    for (int64_t i = 0; i < 64; ++i) expect(sums[i] == i * 1225, "a nested loop lost iterations");
  }
}

void callers_do_not_disturb_each_other() {
  const int64_t alone = train(200, 333);
  for (int repeat = 0; repeat < 5; ++repeat) {  // later callers take over the teams of those that ended
    std::vector<int64_t> found(3);
    std::vector<std::thread> callers;
    for (int64_t& result : found) callers.emplace_back([&result] { result = train(200, 333); });
    for (std::thread& caller : callers) caller.join();
    for (const int64_t result : found) expect(result == alone, "training next to another caller went wrong");
  }
}

// Whether a child of this thread trains as its parent does. `then` runs in the child first.
template <class F>
void train_in_a_child(int64_t expected, const F& then) {
  const pid_t child = fork();
  if (child == 0) {
    then();
    std::_Exit(train(50, 100) == expected ? 0 : 1);
  }
  int status = -1;
  expect(child > 0 && waitpid(child, &status, 0) == child, "fork failed");
  expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a forked child went wrong");
}

void children_start_workers_of_their_own() {
  const int64_t expected = train(50, 100);
  for (int repeat = 0; repeat < 20; ++repeat) {
    train_in_a_child(expected, [&] { train_in_a_child(expected, [] {}); });
    expect(train(50, 100) == expected, "the parent of a child went wrong");
  }
}

void a_child_of_a_busy_process_works() {
  const int64_t expected = train(50, 100);
  const int64_t long_run = train(2000, 100);
  int64_t found = 0;
  std::thread other([&] { found = train(2000, 100); });
  for (int repeat = 0; repeat < 10; ++repeat) train_in_a_child(expected, [] {});
  other.join();
  expect(found == long_run, "training while another thread forks went wrong");
}

}  // namespace

int main() {
  each_iteration_runs_once();
  a_slot_belongs_to_one_thread();
  a_loop_inside_a_loop_runs_on_its_thread();
  callers_do_not_disturb_each_other();
  if (kForks) {
    children_start_workers_of_their_own();
    a_child_of_a_busy_process_works();
  }
  std::puts("team_test: passed");
}
