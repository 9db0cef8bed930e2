#include "tests/sim/members_look.h"

#include <algorithm>
#include <functional>

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

// From the members of now to those of then one node after the other comes or goes. At worst all
// that go have gone, all that are well and still come have not come, and all that are lost are
// there.
bool MembersLook::MayLoseAmidChanges(NodeId node, const std::set<NodeId>& wanted,
                                     const std::set<NodeId>& leaving) const {
  for (uint32_t id = 0; id <= queue_groups; ++id) {
    if (!Led(GroupId(id))) return false;
    std::set<NodeId> always = wanted;
    std::set<NodeId> ever = wanted;
    for (const NodeId one : leaving) always.erase(one);
    const auto pass = [&always, &ever](const std::vector<NodeId>& voters) {
      if (voters.empty()) return;
      std::erase_if(always, [&voters](NodeId one) { return !Has(voters, one); });
      ever.insert(voters.begin(), voters.end());
    };
    // Each has its own view, and any of them may be the one that lasts.
    for (const auto& one : nodes) {
      if (!one->running()) continue;
      const std::optional<raft::GroupStatus> group = one->host().Status(GroupId(id));
      if (!group) continue;
      pass(group->voters);
      pass(group->voters_outgoing);
    }
    const auto lost = [this, node](NodeId one) {
      return one == node || Node(one).damaged() || Node(one).flipped();
    };
    const auto well = std::count_if(always.begin(), always.end(), std::not_fn(lost));
    if (well <= std::count_if(ever.begin(), ever.end(), lost)) return false;
  }
  return true;
}

bool MembersLook::LacksVote(NodeId node) const {
  for (uint32_t id = 0; id <= queue_groups; ++id) {
    const std::optional<raft::GroupStatus> group = Led(GroupId(id));
    if (group && !Has(group->voters, node)) return true;
  }
  return false;
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
