// node/leader_table.h
// LeaderTable says which queue groups this node leads right now. Groups' state machines write it
// (after their leader's first entry was applied); the submit path reads it for each message.
// Threads: thread-safe, one atomic flag per group. An answer is a moment old: a proposal to a group
//          that was just lost answers kFailedPrecondition.
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
  explicit LeaderTable(uint32_t queue_groups) : leads_(queue_groups) {}

  void Set(GroupId group, bool leads) {
    if (group.value() >= 1 && group.value() <= leads_.size()) {
      leads_[group.value() - 1].store(leads, std::memory_order_release);
    }
  }

  bool Leads(GroupId group) const {
    return group.value() >= 1 && group.value() <= leads_.size() &&
           leads_[group.value() - 1].load(std::memory_order_acquire);
  }

  // Groups in turn, so that messages spread evenly; nullopt when none is led here.
  std::optional<GroupId> Next() {
    const size_t count = leads_.size();
    const uint64_t start = turn_.fetch_add(1, std::memory_order_relaxed);
    for (size_t i = 0; i < count; ++i) {
      const GroupId group{static_cast<uint32_t>((start + i) % count) + 1};
      if (Leads(group)) return group;
    }
    return std::nullopt;
  }

  bool LeadsAny() const {
    for (const auto& flag : leads_) {
      if (flag.load(std::memory_order_acquire)) return true;
    }
    return false;
  }

  uint32_t queue_groups() const { return static_cast<uint32_t>(leads_.size()); }

 private:
  std::vector<std::atomic<bool>> leads_;
  std::atomic<uint64_t> turn_{0};
};

}  // namespace holdfast::node
