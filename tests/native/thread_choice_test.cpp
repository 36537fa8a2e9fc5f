// thread_choice_test.cpp — ThreadChoice beside a clock that the test sets: how long a run on so many threads takes.
#include "core/thread_choice.h"

#include <functional>
#include <map>

#include "expect.h"

namespace {

using Seconds = std::function<double(int threads)>;

// How many of the next `runs` used how many threads.
std::map<int, int> uses(fc::ThreadChoice& choice, int most, int runs, const Seconds& seconds) {
  std::map<int, int> counts;
  for (int i = 0; i < runs; ++i) {
    const int threads = choice.threads(most);
    ++counts[threads];
    choice.took(seconds(threads));
  }
  return counts;
}

Seconds fastest_on(int best) {
  return [best](int threads) { return 1e-4 * (threads > best ? threads / best : best / threads); };
}

void settles() {
  for (const int best : {1, 2, 4, 8}) {
    fc::ThreadChoice choice;
    uses(choice, 8, 200, fastest_on(best));
    std::map<int, int> later = uses(choice, 8, 5000, fastest_on(best));
    expect(later[best] > 4900, "nearly all runs use the number of threads that is fastest");
    expect(later.size() > 1, "others are tried now and then");
  }
}

void follows_what_changes() {
  fc::ThreadChoice choice;
  uses(choice, 2, 5000, fastest_on(2));
  std::map<int, int> slower = uses(choice, 2, 100, fastest_on(1));  // on two: twice as long as before
  expect(slower[1] > 70, "soon after threads have become a burden, a program does without them");
  std::map<int, int> again = uses(choice, 2, 3000, [](int threads) { return 1e-4 / threads; });
  expect(again[2] > 1500, "once they help again, it comes back");
}

// Threads that are asleep when a trial begins, and come after `missed` runs: then a run takes `awake` of its time.
Seconds late(int missed, double awake) {
  return [missed, awake, alone = 0](int threads) mutable {
    alone = threads == 1 ? 0 : alone + 1;
    return alone <= missed ? 1e-4 : 1e-4 * awake;
  };
}

void waits_for_sleepers() {
  fc::ThreadChoice choice;
  uses(choice, 2, 100, fastest_on(1));
  std::map<int, int> counts = uses(choice, 2, 3000, late(32, 0.5));
  expect(counts[2] > 2500, "threads that come late are waited for, and stay");
  fc::ThreadChoice burden;
  uses(burden, 2, 100, fastest_on(1));
  counts = uses(burden, 2, 5000, late(32, 2));
  expect(counts[1] > 4500, "a trial ends when they have come and are a burden");
  counts = uses(burden, 2, 5000, late(0, 2));
  expect(counts[1] > 4950, "at once where they were awake");
}

void is_not_misled() {
  fc::ThreadChoice choice;
  int run = 0;
  const auto disturbed = [&run](int threads) { return (++run % 3 == 0 ? 1e-3 : 1e-4) / threads; };
  std::map<int, int> counts = uses(choice, 2, 5000, disturbed);
  expect(counts[2] > 4500, "single slow runs count for nothing");
  fc::ThreadChoice equal;
  std::map<int, int> same = uses(equal, 2, 5000, [](int) { return 1e-4; });
  expect(same[2] > 4900, "where it makes no difference all threads are used");
}

void leaves_long_runs_alone() {
  fc::ThreadChoice choice;
  expect(uses(choice, 4, 1000, [](int) { return 0.01; })[4] == 1000, "long runs are on all threads");
  expect(uses(choice, 1, 1000, fastest_on(1))[1] == 1000, "one thread is one thread");
  expect(uses(choice, 3, 15, fastest_on(1))[3] == 15, "another budget begins anew, with all of it");
}

}  // namespace

int main() {
  settles();
  follows_what_changes();
  waits_for_sleepers();
  is_not_misled();
  leaves_long_runs_alone();
  if (failures == 0) std::puts("thread_choice_test: passed");
  return failures == 0 ? 0 : 1;
}
