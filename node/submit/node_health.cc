#include "node/submit/node_health.h"

#include <utility>

namespace holdfast::node {

void NodeHealth::SetClusterSpaceShort(std::string why) {
  MutexLock lock(mutex_);
  space_short_ = std::move(why);
}

void NodeHealth::SetOverloaded(std::string why, bool memory) {
  MutexLock lock(mutex_);
  overloaded_ = std::move(why);
  overloaded_memory_ = memory;
}

void NodeHealth::SetClockOff(std::string why) {
  MutexLock lock(mutex_);
  clock_off_ = std::move(why);
}

absl::Status NodeHealth::MayStamp() const {
  MutexLock lock(mutex_);
  if (clock_off_.empty()) return absl::OkStatus();
  return absl::UnavailableError(ToAbsl(clock_off_));
}

absl::Status NodeHealth::Reason() const {
  HOLDFAST_RETURN_IF_ERROR(MayStamp());
  MutexLock lock(mutex_);
  if (!space_short_.empty()) return absl::ResourceExhaustedError(ToAbsl(space_short_));
  if (overloaded_.empty()) return absl::OkStatus();
  return MakeStatus(
      overloaded_memory_ ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kAborted,
      "this node is overloaded: {}", overloaded_);
}

absl::Status NodeHealth::MayAccept(uint64_t message_bytes) const {
  if (stopping_.load(std::memory_order_relaxed)) return absl::UnavailableError("shutting down");
  if (removed_.load(std::memory_order_relaxed)) {
    return absl::UnavailableError("this node was removed from its cluster; use another one");
  }
  if (no_space_.load(std::memory_order_relaxed)) {
    return absl::ResourceExhaustedError("insufficient storage: the disk is full");
  }
  if (draining_.load(std::memory_order_relaxed)) {
    return absl::UnavailableError("this node is drained; use another one");
  }
  if (disk_.Room() < message_bytes) {
    return MakeStatus(absl::StatusCode::kResourceExhausted,
                      "insufficient storage: {} MiB free, {} MiB are kept in reserve",
                      disk_.free_bytes() >> 20, disk_.reserve_bytes() >> 20);
  }
  if (policy_pending_.load(std::memory_order_relaxed)) {
    return absl::UnavailableError("this node has not got the cluster's policy yet");
  }
  if (!leaders_.AnyHasLeader()) {
    return absl::UnavailableError("no queue group has a leader: no majority is connected");
  }
  return Reason();
}

}  // namespace holdfast::node
