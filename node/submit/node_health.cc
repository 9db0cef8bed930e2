#include "node/submit/node_health.h"

namespace holdfast::node {

absl::Status NodeHealth::MayAccept(uint64_t message_bytes) const {
  if (stopping_.load(std::memory_order_relaxed)) return absl::UnavailableError("shutting down");
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
    return absl::UnavailableError("the cluster has no policy yet");
  }
  if (!leaders_.AnyHasLeader()) {
    return absl::UnavailableError("no queue group has a leader: no majority is connected");
  }
  return absl::OkStatus();
}

}  // namespace holdfast::node
