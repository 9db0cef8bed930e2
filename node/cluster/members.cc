#include "node/cluster/members.h"

#include <algorithm>

namespace holdfast::node {
namespace {

using raft::ConfChangeType;

bool Has(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

MemberStep Change(std::vector<raft::ConfChangeStep> steps, std::string what) {
  MemberStep step;
  step.change.steps = std::move(steps);
  step.what = std::move(what);
  return step;
}

// Those who stay must be able to commit the change and what follows.
bool OthersAreMajority(const raft::GroupStatus& group, NodeId leaving) {
  size_t stay = 0;
  size_t active = 0;
  for (const NodeId voter : group.voters) {
    if (voter == leaving) continue;
    ++stay;
    const auto member = group.members.find(voter);
    active += member != group.members.end() && member->second.active;
  }
  return stay > 0 && active * 2 > stay;
}

std::optional<MemberStep> StepFor(const NodeRow& row, const raft::GroupStatus& group,
                                  const std::vector<NodeRow>& nodes, const MemberRules& rules) {
  if (row.token.empty() || Has(group.voters, row.node)) return std::nullopt;
  if (!Has(group.learners, row.node)) {
    return Change({{ConfChangeType::kAddLearner, row.node}},
                  format("node {} becomes a learner", row.node.value()));
  }
  const auto member = group.members.find(row.node);
  // Who has acknowledged nothing may not have begun: it asks the control group for that, which must
  // not wait for its vote. A new member counts as active, and a short log as caught up with.
  if (member == group.members.end() || !member->second.active || member->second.match == 0 ||
      member->second.match + kPromoteWithinEntries < group.last) {
    return std::nullopt;
  }
  if (!rules.may_vote(row.node)) return std::nullopt;
  // Whoever leads hands over before it goes; until then the two steps are apart.
  const std::vector<NodeId> places = PlacesTakenBy(row.node, nodes);
  const auto place = std::find_if(places.begin(), places.end(), [&](NodeId one) {
    return one != group.leader && Has(group.voters, one) && rules.may_leave(one);
  });
  if (place == places.end()) {
    // As a voter more it would make the majority larger by one who is down: the control group waits
    // until the others have changed places.
    const bool some_day = std::any_of(places.begin(), places.end(), [&](NodeId one) {
      return one != group.leader && Has(group.voters, one);
    });
    if (some_day) return std::nullopt;
    return Change({{ConfChangeType::kAddVoter, row.node}},
                  format("node {} becomes a voter", row.node.value()));
  }
  return Change(
      {{ConfChangeType::kAddVoter, row.node}, {ConfChangeType::kRemove, *place}},
      format("node {} becomes a voter in the place of node {}", row.node.value(), place->value()));
}

// A node whose replacement votes here counts as removed.
bool IsLeaving(NodeId node, const raft::GroupStatus& group, const std::vector<NodeRow>& nodes) {
  return std::any_of(nodes.begin(), nodes.end(), [&](const NodeRow& row) {
    if (row.node == node) return row.removed;
    return !row.removed && Has(group.voters, row.node) && Has(PlacesTakenBy(row.node, nodes), node);
  });
}

}  // namespace

std::optional<MemberStep> NextMemberStep(const raft::GroupStatus& group, NodeId self,
                                         const std::vector<NodeRow>& nodes,
                                         const MemberRules& rules) {
  if (!group.voters_outgoing.empty() || group.handing_over) return std::nullopt;
  for (const NodeRow& row : nodes) {
    if (row.removed || IsLeaving(row.node, group, nodes)) continue;
    if (std::optional<MemberStep> step = StepFor(row, group, nodes, rules)) return step;
  }
  for (const NodeId learner : group.learners) {
    if (!IsLeaving(learner, group, nodes) || !rules.may_leave(learner)) continue;
    return Change({{ConfChangeType::kRemove, learner}}, format("node {} leaves", learner.value()));
  }
  for (const NodeId voter : group.voters) {
    if (!IsLeaving(voter, group, nodes) || !rules.may_leave(voter)) continue;
    if (!OthersAreMajority(group, voter)) continue;
    if (voter == self) {
      MemberStep step;
      step.what = "this node was removed from the cluster";
      step.leave_first = true;
      return step;
    }
    return Change({{ConfChangeType::kRemove, voter}}, format("node {} leaves", voter.value()));
  }
  return std::nullopt;
}

bool IsMember(NodeId node, const raft::GroupStatus& control) {
  return Has(control.voters, node) || Has(control.learners, node) ||
         Has(control.voters_outgoing, node);
}

std::optional<NodeId> Replaced(const std::vector<NodeRow>& nodes,
                               const std::function<bool(NodeId)>& is_member) {
  for (const NodeRow& row : nodes) {
    if (row.removed || row.token.empty() || !is_member(row.node)) continue;
    const std::vector<NodeId> places = PlacesTakenBy(row.node, nodes);
    if (!places.empty() && !is_member(places.back())) return places.back();
  }
  return std::nullopt;
}

absl::Status MayRemove(NodeId node, const std::vector<NodeId>& voters,
                       const std::function<bool(NodeId)>& alive) {
  if (!Has(voters, node)) {
    return MakeStatus(absl::StatusCode::kNotFound, "node {} is no voter of the cluster",
                      node.value());
  }
  if (voters.size() <= 2) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      "a cluster of {} nodes can't lose one and go on: let another node join first",
                      voters.size());
  }
  size_t living = 0;
  for (const NodeId voter : voters) living += voter != node && alive(voter);
  const size_t stay = voters.size() - 1;
  if (living * 2 > stay) return absl::OkStatus();
  return MakeStatus(
      absl::StatusCode::kFailedPrecondition,
      "without node {} only {} of {} nodes are connected, which is no majority: bring "
      "another node back first",
      node.value(), living, stay);
}

}  // namespace holdfast::node
