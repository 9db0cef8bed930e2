// queue/admission.h
// Whether another submission may begin, asked at MAIL, before any of its bytes are read: bounds of
// the queue and free space of the replicas. A refusal here costs a client one line; later it would
// cost the whole mail (RFC 5321 4.5.3.1, 452).
// Threads: any; pure.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"

namespace holdfast::queue {

struct AdmissionLimits {
  uint64_t message_bytes_max = 50ull << 20;
  uint64_t queue_messages_max = 10'000'000;
  uint64_t queue_bytes_max = 1ull << 40;
  uint64_t disk_reserve_bytes = 2ull << 30;
};

struct ReplicaSpace {
  bool known = false;  // Reported recently; a silent replica counts as full.
  uint64_t free_bytes = 0;
};

struct AdmissionFacts {
  uint64_t declared_bytes = 0;  // SIZE=, 0 when absent.
  uint64_t queue_messages = 0;  // Of the whole queue.
  uint64_t queue_bytes = 0;
  uint64_t undecided_bytes = 0;  // Admitted before and not yet in queue_bytes.
  std::vector<ReplicaSpace> voters;
};

// OK, or
//   kOutOfRange         larger than a message may be, for good (552 5.3.4)
//   kResourceExhausted  not now (452 4.3.1); the text names the bound
absl::Status Admit(const AdmissionLimits& limits, const AdmissionFacts& facts);

}  // namespace holdfast::queue
