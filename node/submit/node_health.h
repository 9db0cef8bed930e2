// node/submit/node_health.h
// NodeHealth knows whether this node may accept mail now, and if not, why: the answer that clients
// get at MAIL (before any content is read), that /readyz shows and that `holdfast status` prints.
// Threads: thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "base/status.h"
#include "node/leader_table.h"

namespace holdfast::node {

struct DiskFacts {
  uint64_t free_bytes = 0;
  uint64_t reserve_bytes = 0;
};

class NodeHealth {
 public:
  NodeHealth(const LeaderTable& leaders, uint64_t disk_reserve_bytes)
      : leaders_(leaders), disk_reserve_bytes_(disk_reserve_bytes) {}

  // Measured about once a second by the node. Starts as "plenty" so that a start isn't refused.
  void SetDiskFree(uint64_t bytes) { disk_free_bytes_.store(bytes, std::memory_order_relaxed); }
  void SetStopping() { stopping_.store(true, std::memory_order_relaxed); }

  // OK; kUnavailable (451 or 421): stopping, or no group has a leader that we can use;
  // kResourceExhausted (452): less free disk than the reserve.
  absl::Status MayAccept() const;
  DiskFacts disk() const { return {disk_free_bytes_.load(), disk_reserve_bytes_}; }

 private:
  const LeaderTable& leaders_;
  const uint64_t disk_reserve_bytes_;
  std::atomic<uint64_t> disk_free_bytes_{~uint64_t{0}};
  std::atomic<bool> stopping_{false};
};

}  // namespace holdfast::node
