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
#include "node/submit/disk_budget.h"

namespace holdfast::node {

// What a message of unknown size is taken for at first. With less room none is begun.
inline constexpr uint64_t kUndeclaredBytes = uint64_t{1} << 20;

class NodeHealth {
 public:
  NodeHealth(const LeaderTable& leaders, uint64_t disk_reserve_bytes)
      : leaders_(leaders), disk_(disk_reserve_bytes) {}

  // The node looks about once a second; submissions reserve what they are about to store.
  DiskBudget& disk() { return disk_; }
  const DiskBudget& disk() const { return disk_; }
  // This node has a policy for an empty cluster, and the cluster has not taken one over yet: mail
  // that came now would be judged by the default one.
  void SetPolicyPending(bool pending) { policy_pending_.store(pending, std::memory_order_relaxed); }
  void SetDraining(bool draining) { draining_.store(draining, std::memory_order_relaxed); }
  // The disk is so full that the store can't even be opened.
  void SetNoSpace(bool no_space) { no_space_.store(no_space, std::memory_order_relaxed); }
  void SetStopping() { stopping_.store(true, std::memory_order_relaxed); }

  // OK; kUnavailable (451 or 421): stopping, or no group has a leader that we can use;
  // kResourceExhausted (452): no room on the disk for a message of that size beside the reserve.
  absl::Status MayAccept(uint64_t message_bytes = kUndeclaredBytes) const;

 private:
  const LeaderTable& leaders_;
  DiskBudget disk_;
  std::atomic<bool> policy_pending_{false};
  std::atomic<bool> draining_{false};
  std::atomic<bool> no_space_{false};
  std::atomic<bool> stopping_{false};
};

}  // namespace holdfast::node
