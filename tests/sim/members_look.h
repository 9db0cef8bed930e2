// tests/sim/members_look.h
// MembersLook says how far a simulated cluster is with its members, by what its leaders say: whom
// an operator may remove, who has left, what is still to be done. Both floors whose members change
// ask it (HostMembers, MailMembers); each knows by itself what was wished for.
// Threads: one. Lifetime: what it refers to outlives it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "node/cluster/members.h"
#include "tests/sim/host_node.h"

namespace holdfast::raft_test {

struct MembersLook {
  using Rows = std::vector<node::NodeRow>;

  const SimLoop& loop;
  const std::vector<std::unique_ptr<HostNode>>& nodes;  // By id; the first one has 1.
  std::function<HostNode*(GroupId)> leader;
  uint32_t queue_groups = 1;

  HostNode& Node(NodeId node) const { return *nodes[node.value() - 1]; }
  static std::set<NodeId> IdsOf(const std::vector<std::unique_ptr<HostNode>>& nodes);
  // Who belongs to a cluster that these began.
  static std::set<NodeId> Members(const std::set<NodeId>& first, const Rows& rows);
  // Who belongs to the group, as its leader has it; nullopt: nobody leads.
  std::optional<raft::GroupStatus> Led(GroupId group) const;
  // As ClusterVerbs: one after the other, and only whom the others can spare.
  bool MayRemove(NodeId node, const Rows& rows) const;
  // Whether the others can spare the node's disk for ever.
  bool MayLose(NodeId node, const std::set<NodeId>& members) const;
  // The same while members change: in every configuration that a group may still go through until
  // it has the members `wanted`, of which `leaving` may be gone any time.
  bool MayLoseAmidChanges(NodeId node, const std::set<NodeId>& wanted,
                          const std::set<NodeId>& leaving) const;
  // Some group does not have it as a voter, by what everybody says who leads.
  bool LacksVote(NodeId node) const;
  // No group has it any more, by what everybody says who leads.
  bool HasGone(NodeId node) const;
  // What is still to be done until all groups have the members `wanted`; empty: nothing.
  std::string Unsettled(const std::set<NodeId>& wanted, const Rows& rows) const;

 private:
  bool IsAlive(NodeId node) const;
};

}  // namespace holdfast::raft_test
