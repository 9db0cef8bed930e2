// node/leader_table.h
// LeaderTable says which queue groups this node leads right now, and whom it takes for the leader
// of the others. Groups' state machines write the first (after their leader's first entry was
// applied), the node's tick the second; the submit path reads both for each message. Threads:
// thread-safe, atomics per group. An answer is a moment old: a proposal to a group that was
//          just lost answers kFailedPrecondition.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/strong_id.h"

namespace holdfast::node {

class LeaderTable {
 public:
  // Queue groups 1..queue_groups.
  explicit LeaderTable(uint32_t queue_groups) : leads_(queue_groups), known_(queue_groups) {}

  void Set(GroupId group, bool leads) {
    if (group.value() >= 1 && group.value() <= leads_.size()) {
      leads_[group.value() - 1].store(leads, std::memory_order_release);
    }
  }

  bool Leads(GroupId group) const {
    return group.value() >= 1 && group.value() <= leads_.size() &&
           leads_[group.value() - 1].load(std::memory_order_acquire);
  }

  // Another node that is known to lead; 0: nobody, or this node.
  void SetElsewhere(GroupId group, NodeId leader) {
    if (group.value() >= 1 && group.value() <= known_.size()) {
      known_[group.value() - 1].store(leader.value(), std::memory_order_release);
    }
  }

  // Groups in turn, so that messages spread evenly: of those led here, or else of those that
  // somebody leads; nullopt when there is none.
  std::optional<GroupId> Next() {
    const uint64_t start = turn_.fetch_add(1, std::memory_order_relaxed);
    std::optional<GroupId> elsewhere;
    for (size_t i = 0; i < leads_.size(); ++i) {
      const size_t place = (start + i) % leads_.size();
      const GroupId group{static_cast<uint32_t>(place) + 1};
      if (Leads(group)) return group;
      if (!elsewhere && known_[place].load(std::memory_order_acquire) != 0) elsewhere = group;
    }
    return elsewhere;
  }

  // Some group can take mail, here or by way of another node.
  bool AnyHasLeader() const {
    for (size_t place = 0; place < leads_.size(); ++place) {
      if (leads_[place].load(std::memory_order_acquire)) return true;
      if (known_[place].load(std::memory_order_acquire) != 0) return true;
    }
    return false;
  }

  uint32_t queue_groups() const { return static_cast<uint32_t>(leads_.size()); }

 private:
  std::vector<std::atomic<bool>> leads_;
  std::vector<std::atomic<uint64_t>> known_;
  std::atomic<uint64_t> turn_{0};
};

}  // namespace holdfast::node
