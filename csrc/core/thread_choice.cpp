// thread_choice.cpp — trials of more and fewer threads, from one run of a program to the next.
#include "core/thread_choice.h"

#include <algorithm>
#include <utility>

namespace fc {

int ThreadChoice::threads(int most) {
  if (most != most_) *this = ThreadChoice(), most_ = usual_ = most;
  return tried_ > 0 ? tried_ : usual_;
}

void ThreadChoice::took(double seconds) {
  // In the first run after a change the caches are still divided as they were before.
  if (++runs_ > 1) least_ = std::min(least_, seconds);
  if (runs_ == 1 || (runs_ - 1) % kWatched != 0) return;
  const double least = std::exchange(least_, std::numeric_limits<double>::infinity());
  if (tried_ > 0) {
    const bool better = least < kBetter * usual_seconds_, worse = usual_seconds_ < kBetter * least;
    if (tried_ > usual_ && !better && !worse && runs_ < kPatience) return;
    if (better) usual_ = tried_, usual_seconds_ = least;
    wait_ = better ? kSoon : std::min(2 * wait_, kSeldom);
    fewer_ = fewer_ == better;  // on the same way if that was a good one
    tried_ = runs_ = 0;
    return;
  }
  if (least > kChanged * usual_seconds_ || kChanged * least < usual_seconds_) wait_ = kSoon;
  usual_seconds_ = least;
  if (most_ > 1 && runs_ >= wait_ && least < kLong) tried_ = neighbour(), runs_ = 0;
}

int ThreadChoice::neighbour() {
  if (usual_ == 1) fewer_ = false;
  if (usual_ == most_) fewer_ = true;
  return fewer_ ? usual_ / 2 : std::min(2 * usual_, most_);
}

}  // namespace fc
