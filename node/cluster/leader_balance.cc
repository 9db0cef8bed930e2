#include "node/cluster/leader_balance.h"

#include <algorithm>

namespace holdfast::node {

NodeId HomeOf(GroupId group, std::vector<NodeId> voters) {
  if (voters.empty()) return NodeId{};
  std::sort(voters.begin(), voters.end());
  const size_t turn = group.value() == 0 ? voters.size() - 1 : group.value() - 1;
  return voters[turn % voters.size()];
}

std::vector<LeaderMove> LeaderBalance::Next(const std::vector<raft::GroupStatus>& groups,
                                            const std::function<bool(NodeId)>& may_take,
                                            absl::Duration now) {
  std::vector<LeaderMove> moves;
  for (const raft::GroupStatus& group : groups) {
    const NodeId home = HomeOf(group.group, group.voters);
    const auto member = group.members.find(home);
    const bool fit = group.leading && !group.handing_over && home != self_ &&
                     member != group.members.end() && member->second.active &&
                     member->second.match + options_.entries_behind_max >= group.commit &&
                     may_take(home);
    if (!fit) {
      fit_since_.erase(group.group);
      continue;
    }
    const absl::Duration since = fit_since_.emplace(group.group, now).first->second;
    const auto moved = moved_.find(group.group);
    if (now - since < options_.fit_for) continue;
    if (moved != moved_.end() && now - moved->second < options_.move_interval) continue;
    if (moves.size() >= options_.moves_max) continue;
    moves.push_back({group.group, home});
    moved_[group.group] = now;
    fit_since_.erase(group.group);
  }
  return moves;
}

}  // namespace holdfast::node
