// node/cluster/load_shedding.h
// LoadShedding decides which groups an overloaded node hands over, and to whom: to the least loaded
// of the up-to-date followers that take groups, a quarter of what the node leads at each look, so
// that all may be gone in some seconds and a node that only has too much work keeps some of it.
//
// What keeps it from flapping:
//   - a group that came to this node less than move_interval ago is not moved, whoever brought it
//     here, so that no group moves for load more than once in that time, on whatever nodes;
//   - a target must be better by better_by_permille, and `takes` (PeerLoad) is false for nodes that
//     are overloaded or were so within the last minute: two loaded nodes never exchange groups, and
//     where all are overloaded nothing moves;
//   - a node makes at most moves_max moves in move_interval.
// Threads: thread-compatible. Pure: time and facts are arguments.
// Limits:  remembers one time per group, and moves_max moves.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "base/strong_id.h"
#include "node/cluster/leader_balance.h"
#include "node/cluster/load_score.h"
#include "raft/host/group_host.h"

namespace holdfast::node {

struct LoadSheddingOptions {
  bool enabled = true;
  absl::Duration move_interval = absl::Seconds(60);
  size_t moves_max = 12;  // In move_interval.
  uint32_t take_below_permille = 800;
  uint32_t better_by_permille = 300;
  // A follower further behind the commit index is not up to date.
  uint64_t entries_behind_max = 1000;
  // A hand-over without effect after so long has failed; the group may be tried again.
  absl::Duration move_timeout = absl::Seconds(10);
};

// What is known of another node, from its last beat.
struct PeerLoad {
  uint32_t permille = 0;
  // It was heard from lately, stays a member, and neither drains, nor doubts its clock, nor is
  // overloaded or recovering.
  bool takes = false;
};

class LoadShedding {
 public:
  LoadShedding(NodeId self, const LoadSheddingOptions& options) : self_(self), options_(options) {}

  // The groups to hand over now. About once a second, overloaded or not. `now`:
  // Clock::SinceBoot().
  std::vector<LeaderMove> Next(const std::vector<raft::GroupStatus>& groups, const LoadState& own,
                               const std::map<NodeId, PeerLoad>& peers, absl::Duration now);

 private:
  // What this node leads, and what became of its own moves.
  void Follow(const std::vector<raft::GroupStatus>& groups, absl::Duration now);
  // 0: nobody.
  NodeId TargetFor(const raft::GroupStatus& group, const LoadState& own,
                   const std::map<NodeId, PeerLoad>& peers) const;

  struct Move {
    GroupId group;
    NodeId target;
    absl::Duration at;
  };

  const NodeId self_;
  const LoadSheddingOptions options_;
  std::map<GroupId, absl::Duration> led_since_;
  std::map<GroupId, absl::Duration> moving_;  // Asked for, and still led here.
  std::deque<Move> moves_;                    // Of this node, within move_interval.
};

}  // namespace holdfast::node
