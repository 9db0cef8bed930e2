#include "node/cluster/clock_check.h"

#include <algorithm>

namespace holdfast::node {

const ClockState& ClockCheck::Look(std::vector<absl::Duration> others_ahead, size_t voters,
                                   absl::Duration now) {
  std::vector<absl::Duration> clocks = std::move(others_ahead);
  clocks.push_back(absl::ZeroDuration());  // Our own.
  state_.ahead.reset();
  // Two clocks are the least that can differ.
  if (clocks.size() < 2 || clocks.size() * 2 <= voters) {
    differs_since_ = absl::InfiniteDuration();
    return state_;
  }
  std::sort(clocks.begin(), clocks.end());
  absl::Duration median = clocks[clocks.size() / 2];
  if (clocks.size() % 2 == 0) {
    const absl::Duration lower = clocks[clocks.size() / 2 - 1];
    if (absl::AbsDuration(lower) < absl::AbsDuration(median)) median = lower;
  }
  state_.ahead = -median;
  const bool off = absl::AbsDuration(median) > options_.difference_max;
  if (off == state_.off) {
    differs_since_ = absl::InfiniteDuration();
    return state_;
  }
  if (differs_since_ == absl::InfiniteDuration()) differs_since_ = now;
  if (now - differs_since_ < options_.certain_after) return state_;
  state_.off = off;
  differs_since_ = absl::InfiniteDuration();
  return state_;
}

}  // namespace holdfast::node
