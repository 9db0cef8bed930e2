// raft/core/quorum.h
// Majorities, and pairs of majorities (thesis 4.3). A joint configuration decides only what the
// majorities of both its halves agree on; with an empty outgoing half it is a plain majority.
// Threads: pure functions and values.
#pragma once

#include <map>
#include <optional>
#include <set>

#include "raft/core/raft_types.h"

namespace holdfast::raft {

// Ordered, so that everything that walks over voters does so in the same order everywhere.
using NodeSet = std::set<NodeId>;

enum class VoteResult : uint8_t { kPending, kLost, kWon };

// The highest index that a majority of `voters` has acknowledged. Who is missing from `acked`
// counts as 0. An empty set decides everything (the largest number), so that it never holds back
// the other half of a joint configuration.
LogIndex CommittedIndex(const NodeSet& voters, const std::map<NodeId, LogIndex>& acked);

// kPending while those who have not voted could still turn the result. An empty set says yes.
VoteResult CountVotes(const NodeSet& voters, const std::map<NodeId, bool>& votes);

struct JointQuorum {
  NodeSet incoming;
  NodeSet outgoing;  // Empty unless the configuration is joint.

  bool joint() const { return !outgoing.empty(); }
  bool Contains(NodeId node) const { return incoming.contains(node) || outgoing.contains(node); }
  NodeSet All() const;

  LogIndex Committed(const std::map<NodeId, LogIndex>& acked) const;
  VoteResult Count(const std::map<NodeId, bool>& votes) const;

  bool operator==(const JointQuorum&) const = default;
};

}  // namespace holdfast::raft
