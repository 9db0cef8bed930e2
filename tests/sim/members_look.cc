#include "tests/sim/members_look.h"

#include <algorithm>

#include "base/text.h"

namespace holdfast::raft_test {
namespace {

bool Has(const std::vector<NodeId>& nodes, NodeId node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

std::set<NodeId> MembersLook::IdsOf(const std::vector<std::unique_ptr<HostNode>>& nodes) {
  std::set<NodeId> ids;
  for (const auto& node : nodes) ids.insert(node->id());
  return ids;
}

std::set<NodeId> MembersLook::Members(const std::set<NodeId>& first, const Rows& rows) {
  std::set<NodeId> members = first;
  for (const node::NodeRow& row : rows) {
    if (row.removed) {
      members.erase(row.node);
    } else {
      members.insert(row.node);
    }
  }
  return members;
}

std::optional<raft::GroupStatus> MembersLook::Led(GroupId group) const {
  HostNode* at = leader(group);
  return at == nullptr ? std::nullopt : at->host().Status(group);
}

bool MembersLook::IsAlive(NodeId node) const {
  const HostNode& one = Node(node);
  return one.running() && !one.damaged() && one.paused_until() <= loop.now();
}

bool MembersLook::MayRemove(NodeId node, const Rows& rows) const {
  if (node::IsReplacing(node, rows)) return false;
  for (uint32_t id = 0; id <= queue_groups; ++id) {
    const std::optional<raft::GroupStatus> group = Led(GroupId(id));
    if (!group) return false;
    std::vector<NodeId> voters;
    for (const auto& [one, member] : group->members) {
      const bool leaving = std::any_of(
          rows.begin(), rows.end(),
          [one = one](const node::NodeRow& row) { return row.node == one && row.removed; });
      if (leaving && one != node) return false;
      if (!member.learner) voters.push_back(one);
    }
    if (!Has(voters, node)) continue;
    const auto alive = [this](NodeId other) { return IsAlive(other); };
    if (!node::MayRemove(node, voters, alive).ok()) return false;
  }
  return true;
}

bool MembersLook::MayLose(NodeId node, const std::set<NodeId>& members) const {
  if (!members.contains(node)) return false;
  size_t lost = 0;
  for (const NodeId member : members) {
    lost += member == node || Node(member).damaged() || Node(member).flipped();
  }
  return 2 * lost < members.size();
}

bool MembersLook::HasGone(NodeId node) const {
  for (uint32_t id = 0; id <= queue_groups; ++id) {
    const std::optional<raft::GroupStatus> group = Led(GroupId(id));
    if (!group || node::IsMember(node, *group) || group->members.contains(node)) return false;
  }
  return true;
}

std::string MembersLook::Unsettled(const std::set<NodeId>& wanted, const Rows& rows) const {
  std::string all;
  for (uint32_t id = 0; id <= queue_groups; ++id) {
    const std::optional<raft::GroupStatus> group = Led(GroupId(id));
    if (!group) {
      all += format("\n  nobody leads group {}", id);
      continue;
    }
    const std::set<NodeId> voters(group->voters.begin(), group->voters.end());
    if (voters == wanted && group->learners.empty() && group->voters_outgoing.empty()) continue;
    all +=
        format("\n  group {}: {} voters, {} learners, {} outgoing; {} are wanted", id,
               voters.size(), group->learners.size(), group->voters_outgoing.size(), wanted.size());
  }
  for (const node::NodeRow& row : rows) {
    if (row.removed && row.node.value() <= nodes.size() && Node(row.node).running()) {
      all += format("\n  node {} was removed and runs", row.node.value());
    }
  }
  return all;
}

}  // namespace holdfast::raft_test
