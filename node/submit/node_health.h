// node/submit/node_health.h
// NodeHealth knows whether this node may accept mail now, and if not, why: the answer that clients
// get at MAIL (before any content is read), that /readyz shows and that `holdfast status` prints.
// Threads: thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "base/mutex.h"
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
  // The cluster has not taken a policy over yet, or this node has not heard of it: mail that came
  // now would be judged by the default one.
  void SetPolicyPending(bool pending) { policy_pending_.store(pending, std::memory_order_relaxed); }
  void SetDraining(bool draining) { draining_.store(draining, std::memory_order_relaxed); }
  void SetRemoved() { removed_.store(true, std::memory_order_relaxed); }
  // The disk is so full that the store can't even be opened.
  void SetNoSpace(bool no_space) { no_space_.store(no_space, std::memory_order_relaxed); }
  void SetStopping() { stopping_.store(true, std::memory_order_relaxed); }

  // Reasons that come and go, in words; empty: no such reason.
  // Fewer than a majority of the nodes have room above their reserve.
  void SetClusterSpaceShort(std::string why);
  // This node's load is beyond what it can bear. `memory`: of memory alone.
  void SetOverloaded(std::string why, bool memory);
  // This node's clock is too far from the others': it stamps nothing, so it begins nothing.
  void SetClockOff(std::string why);

  // OK; kUnavailable (451): stopping, or no group has a leader that we can use;
  // kResourceExhausted (452): no room in memory, or on disks for a message of that size beside the
  // reserve; kAborted (421): overloaded, and the client should go elsewhere.
  absl::Status MayAccept(uint64_t message_bytes = kUndeclaredBytes) const;
  // kUnavailable: what this node stamps with its time would be wrong.
  absl::Status MayStamp() const;

 private:
  // Those reasons that need the lock.
  absl::Status Reason() const;

  const LeaderTable& leaders_;
  DiskBudget disk_;
  std::atomic<bool> policy_pending_{false};
  std::atomic<bool> draining_{false};
  std::atomic<bool> removed_{false};
  std::atomic<bool> no_space_{false};
  std::atomic<bool> stopping_{false};
  mutable Mutex mutex_;
  std::string space_short_ ABSL_GUARDED_BY(mutex_);
  std::string overloaded_ ABSL_GUARDED_BY(mutex_);
  bool overloaded_memory_ ABSL_GUARDED_BY(mutex_) = false;
  std::string clock_off_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::node
