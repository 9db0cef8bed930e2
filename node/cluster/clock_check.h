// node/cluster/clock_check.h
// ClockCheck says whether this node's wall clock can be trusted: whether it is within
// difference_max of the median of the clocks that are heard from. Nobody is accused without a
// majority: with fewer clocks than that nothing changes. Of an even number the two in the middle
// are both medians, and the nearer one counts; so of two clocks that differ neither is off.
// Threads: thread-compatible. Pure.
#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <optional>
#include <vector>

namespace holdfast::node {

struct ClockOptions {
  absl::Duration difference_max = absl::Seconds(30);
  // It must last so long, in either direction, for one strange beat means nothing.
  absl::Duration certain_after = absl::Seconds(2);
};

struct ClockState {
  bool off = false;
  // Of this node's clock before the median of all; nullopt: no majority was heard from.
  std::optional<absl::Duration> ahead;
};

class ClockCheck {
 public:
  explicit ClockCheck(const ClockOptions& options) : options_(options) {}

  // `others_ahead`: the clocks of other voters heard from lately, against ours. `voters`: how many
  // there are, with this node. `now`: Clock::SinceBoot().
  const ClockState& Look(std::vector<absl::Duration> others_ahead, size_t voters,
                         absl::Duration now);
  const ClockState& state() const { return state_; }

 private:
  const ClockOptions options_;
  ClockState state_;
  absl::Duration differs_since_ = absl::InfiniteDuration();
};

}  // namespace holdfast::node
