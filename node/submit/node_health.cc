#include "node/submit/node_health.h"

namespace holdfast::node {

absl::Status NodeHealth::MayAccept() const {
  if (stopping_.load(std::memory_order_relaxed)) return absl::UnavailableError("shutting down");
  const uint64_t free_bytes = disk_free_bytes_.load(std::memory_order_relaxed);
  if (free_bytes < disk_reserve_bytes_) {
    return MakeStatus(absl::StatusCode::kResourceExhausted,
                      "insufficient storage: {} MiB free, {} MiB are kept in reserve",
                      free_bytes >> 20, disk_reserve_bytes_ >> 20);
  }
  if (!leaders_.LeadsAny()) {
    return absl::UnavailableError("no queue group has a leader here: no majority is connected");
  }
  return absl::OkStatus();
}

}  // namespace holdfast::node
