// node/cluster/leader_placement.h
// LeaderPlacement is all that a node decides about who leads its groups while nobody leaves: an
// overloaded node hands groups over (LoadShedding), any other brings groups home (LeaderBalance),
// and neither moves a group that was moved less than a minute ago, by whatever node or person:
// nodes tell each other in their beats what they moved.
// Threads: thread-compatible. Pure.
// Limits:  remembers one move per group.
#pragma once

#include <absl/time/time.h>

#include <map>
#include <string>
#include <vector>

#include "base/strong_id.h"
#include "node/cluster/leader_balance.h"
#include "node/cluster/load_score.h"
#include "node/cluster/load_shedding.h"
#include "raft/host/group_host.h"

namespace holdfast::node {

struct PlacedMove {
  GroupId group;
  NodeId target;
  bool for_load = false;
  std::string reason;  // For people.
};

// What a node tells others of its own moves.
struct ToldMove {
  GroupId group;
  absl::Duration at;  // Clock::SinceBoot() of whoever holds it.
};

class LeaderPlacement {
 public:
  LeaderPlacement(NodeId self, const LoadSheddingOptions& options)
      : options_(options), balance_(self, BalanceOptions(options)), shedding_(self, options) {}

  // About once a second.
  std::vector<PlacedMove> Next(const std::vector<raft::GroupStatus>& groups, const LoadState& own,
                               const std::map<NodeId, PeerLoad>& peers, absl::Duration now);

  // An operator moved it from here.
  void OnMoved(GroupId group, absl::Duration now);
  // Another node did, at `at`. Idempotent.
  void OnTold(const ToldMove& move);
  // What this node moved within the last minute.
  std::vector<ToldMove> Recent(absl::Duration now) const;

 private:
  static LeaderBalanceOptions BalanceOptions(const LoadSheddingOptions& options) {
    LeaderBalanceOptions balance;
    balance.move_interval = options.move_interval;
    return balance;
  }

  const LoadSheddingOptions options_;
  LeaderBalance balance_;
  LoadShedding shedding_;
  std::map<GroupId, absl::Duration> own_moves_;
};

}  // namespace holdfast::node
