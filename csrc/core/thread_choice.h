// thread_choice.h — how many of the threads that a program may use it does use: as many as were fastest of late.
//
// No result depends on it, so it may be found by trying. Threads share the work, but then each finds part of
// what it reads in another core's cache. Programs of microseconds, single images, can lose by that more than
// they gain. By how much depends on which cores the system has given, and a virtual machine's change while it
// runs: on one with two, ResNet-20's inference of an image took 0.24 ms on both cores and 0.27 on one, and
// minutes later, when messages between the two took ten times as long, 0.62 and 0.27.
#pragma once

#include <limits>

namespace fc {

// Half and twice as many threads as usual are tried in turns, a few runs long: soon after something has
// changed, ever more seldom while nothing does. Threads that were not used are asleep, and short loops wake
// them only when they have missed them for a while (cpu/team.cpp): that more of them make no difference is
// believed late.
class ThreadChoice {
 public:
  // Of the next run, at most `most`.
  int threads(int most);
  // How long that run was.
  void took(double seconds);

 private:
  static constexpr int kWatched = 3;                // runs, of which the shortest counts
  static constexpr int kPatience = 48;              // runs of a trial of more threads without a difference
  static constexpr int kSoon = 16, kSeldom = 1024;  // runs from one trial to the next
  static constexpr double kLong = 5e-3;    // seconds: in such runs threads help, and a trial would cost more
  static constexpr double kBetter = 0.95;  // of the usual time, or all stays as it is
  static constexpr double kChanged = 1.3;  // times the usual time or its inverse: something has changed

  int neighbour();

  int most_ = 0, usual_ = 0, tried_ = 0;  // threads; tried_ is 0 between trials
  int runs_ = 0, wait_ = kSoon;
  bool fewer_ = true;  // what to try next
  double usual_seconds_ = 0, least_ = std::numeric_limits<double>::infinity();
};

}  // namespace fc
