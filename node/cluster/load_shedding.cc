#include "node/cluster/load_shedding.h"

#include <algorithm>
#include <tuple>

namespace holdfast::node {
namespace {

// A group that was just given to a node will load it: not everything goes to the same one before
// its next beats tell.
constexpr uint32_t kAssumedPermillePerGroup = 60;

}  // namespace

void LoadShedding::Follow(const std::vector<raft::GroupStatus>& groups, absl::Duration now) {
  for (const raft::GroupStatus& group : groups) {
    if (!group.leading) {
      led_since_.erase(group.group);
      moving_.erase(group.group);
      continue;
    }
    led_since_.emplace(group.group, now);
    const auto moving = moving_.find(group.group);
    if (moving != moving_.end() && now - moving->second >= options_.move_timeout) {
      moving_.erase(moving);
    }
  }
  while (!moves_.empty() && now - moves_.front().at >= options_.move_interval) moves_.pop_front();
}

NodeId LoadShedding::TargetFor(const raft::GroupStatus& group, const LoadState& own,
                               const std::map<NodeId, PeerLoad>& peers) const {
  const NodeId home = HomeOf(group.group, group.voters);
  NodeId best{};
  // The least load; of equal ones the home, where the group need not move again.
  std::tuple<uint32_t, bool, uint64_t> least;
  for (const NodeId voter : group.voters) {
    const auto member = group.members.find(voter);
    const auto peer = peers.find(voter);
    if (voter == self_ || member == group.members.end() || peer == peers.end()) continue;
    const bool up_to_date = member->second.active && !member->second.learner &&
                            member->second.match + options_.entries_behind_max >= group.commit;
    if (!up_to_date || !peer->second.takes) continue;
    uint32_t permille = peer->second.permille;
    for (const Move& move : moves_) {
      if (move.target == voter) permille += kAssumedPermillePerGroup;
    }
    if (permille >= options_.take_below_permille) continue;
    if (permille + options_.better_by_permille > own.permille) continue;
    const std::tuple<uint32_t, bool, uint64_t> rank{permille, voter != home, voter.value()};
    if (best == NodeId{} || rank < least) {
      best = voter;
      least = rank;
    }
  }
  return best;
}

std::vector<LeaderMove> LoadShedding::Next(const std::vector<raft::GroupStatus>& groups,
                                           const LoadState& own,
                                           const std::map<NodeId, PeerLoad>& peers,
                                           absl::Duration now) {
  Follow(groups, now);
  std::vector<LeaderMove> moves;
  if (!options_.enabled || !own.overloaded || own.permille < kOverloadedPermille) return moves;
  const size_t now_max = std::max<size_t>(1, led_since_.size() / 4);
  for (const raft::GroupStatus& group : groups) {
    if (moves.size() >= now_max || moves_.size() >= options_.moves_max) break;
    if (!group.leading || group.handing_over || moving_.contains(group.group)) continue;
    if (now - led_since_.at(group.group) < options_.move_interval) continue;
    const NodeId target = TargetFor(group, own, peers);
    if (target == NodeId{}) continue;
    moves.push_back({group.group, target});
    moves_.push_back({group.group, target, now});
    moving_[group.group] = now;
  }
  return moves;
}

}  // namespace holdfast::node
