// node/cluster/members.h
// What a group's leader does next so that the group gets the members that the control group wants:
// an admitted node becomes a learner, a learner that has caught up a voter (in the place of the
// node that it replaces, in one joint step), and a removed node goes. One change at a time; each
// step is decided anew from what is, so whoever leads goes on where another leader stopped.
//
// Pure. Threads: functions of their arguments. (Raft thesis, chapter 4.)
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "node/control/control_nodes.h"
#include "raft/core/confchange.h"
#include "raft/host/group_host.h"

namespace holdfast::node {

// A learner so close to the leader's last entry is one of us.
inline constexpr raft::LogIndex kPromoteWithinEntries = 100;

struct MemberStep {
  raft::ConfChange change;
  std::string what;  // For people: "node 4 becomes a voter in the place of node 2".
  // This node is to go, so it must hand leadership over first; `change` is empty.
  bool leave_first = false;
};

// What the control group and the others owe each other: whoever may come to lead a queue group
// hears from the control group who is to be where, or that group would keep its members for ever.
struct MemberRules {
  // A node may be dropped from this group already: the control group lets nobody go that another
  // group still has.
  std::function<bool(NodeId)> may_leave;
  // A node may become a voter of this group: of a queue group only a member of the control group.
  std::function<bool(NodeId)> may_vote;
};

// nullopt: nothing to do now. `group`: as its leader sees it.
std::optional<MemberStep> NextMemberStep(const raft::GroupStatus& group, NodeId self,
                                         const std::vector<NodeRow>& nodes,
                                         const MemberRules& rules);

// Whether the control group, as this replica of it sees itself, has the node as voter or learner.
bool IsMember(NodeId node, const raft::GroupStatus& control);

// A node whose replacement is done, so that it is to be recorded as removed. `is_member`: of the
// control group, which drops a node last. Of several that one node replaces, one for the other, the
// oldest goes first.
std::optional<NodeId> Replaced(const std::vector<NodeRow>& nodes,
                               const std::function<bool(NodeId)>& is_member);

// Why `node` must not be removed from a group with these voters; OK: it may. `alive` tells who was
// heard from lately. kNotFound: it is no voter. kFailedPrecondition: those who stay would be no
// majority.
absl::Status MayRemove(NodeId node, const std::vector<NodeId>& voters,
                       const std::function<bool(NodeId)>& alive);

}  // namespace holdfast::node
