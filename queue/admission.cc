#include "queue/admission.h"

#include <algorithm>

namespace holdfast::queue {
namespace {

// Whether a majority of the voters has room for `bytes` above the reserve.
bool MajorityHasRoom(const AdmissionFacts& facts, uint64_t reserve, uint64_t bytes) {
  const auto has_room = [reserve, bytes](const ReplicaSpace& replica) {
    return replica.known && replica.free_bytes >= reserve && replica.free_bytes - reserve >= bytes;
  };
  const auto count = std::count_if(facts.voters.begin(), facts.voters.end(), has_room);
  return static_cast<size_t>(count) > facts.voters.size() / 2;
}

}  // namespace

absl::Status Admit(const AdmissionLimits& limits, const AdmissionFacts& facts) {
  if (facts.declared_bytes > limits.message_bytes_max) {
    return MakeStatus(absl::StatusCode::kOutOfRange, "message of {} bytes, the limit is {}",
                      facts.declared_bytes, limits.message_bytes_max);
  }
  if (facts.queue_messages >= limits.queue_messages_max) {
    return MakeStatus(absl::StatusCode::kResourceExhausted, "queue_messages_max of {} is reached",
                      limits.queue_messages_max);
  }
  const uint64_t used = facts.queue_bytes + facts.undecided_bytes;
  if (used > limits.queue_bytes_max || limits.queue_bytes_max - used < facts.declared_bytes) {
    return MakeStatus(absl::StatusCode::kResourceExhausted, "queue_bytes_max of {} is reached",
                      limits.queue_bytes_max);
  }
  if (!MajorityHasRoom(facts, limits.disk_reserve_bytes,
                       facts.undecided_bytes + facts.declared_bytes)) {
    return MakeStatus(absl::StatusCode::kResourceExhausted,
                      "fewer than a majority of the replicas have disk_reserve_bytes of {} free",
                      limits.disk_reserve_bytes);
  }
  return absl::OkStatus();
}

}  // namespace holdfast::queue
