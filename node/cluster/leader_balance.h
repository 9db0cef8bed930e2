// node/cluster/leader_balance.h
// LeaderBalance spreads the leaders of the groups over the nodes and keeps them so. Group g's home
// is the ((g - 1) mod n)th of its n voters; the control group's is the last. A leader that finds
// its group's home alive, caught up and willing for a while hands the group over to it. So a node
// that returns gets its share back, and no two nodes disagree about whose group it is.
//
// Threads: thread-compatible. Pure: time and facts are arguments.
// Limits:  a group is moved by this node once in move_interval at most.
#pragma once

#include <absl/time/time.h>

#include <algorithm>
#include <functional>
#include <map>
#include <vector>

#include "base/strong_id.h"
#include "raft/host/group_host.h"

namespace holdfast::node {

struct LeaderBalanceOptions {
  // The home must have been fit for so long before a group moves there.
  absl::Duration fit_for = absl::Seconds(5);
  absl::Duration move_interval = absl::Seconds(60);
  // A home further behind than this is not caught up.
  uint64_t entries_behind_max = 1000;
  // Groups moved in one call.
  size_t moves_max = 2;
};

struct LeaderMove {
  GroupId group;
  NodeId target;
};

// 0 when there are no voters.
NodeId HomeOf(GroupId group, std::vector<NodeId> voters);

class LeaderBalance {
 public:
  LeaderBalance(NodeId self, const LeaderBalanceOptions& options)
      : self_(self), options_(options) {}

  // `may_take`: that node takes groups just now (it is not draining, nor overloaded). About once a
  // second. `now`: Clock::SinceBoot().
  std::vector<LeaderMove> Next(const std::vector<raft::GroupStatus>& groups,
                               const std::function<bool(NodeId)>& may_take, absl::Duration now);

  // The group was moved for another reason, or by another node: it stays where it is for an
  // interval. What is older than what is known changes nothing.
  void OnMoved(GroupId group, absl::Duration at) {
    absl::Duration& moved = moved_.emplace(group, at).first->second;
    moved = std::max(moved, at);
  }

 private:
  const NodeId self_;
  const LeaderBalanceOptions options_;
  std::map<GroupId, absl::Duration> fit_since_;
  std::map<GroupId, absl::Duration> moved_;
};

}  // namespace holdfast::node
