#include "node/cluster/leader_placement.h"

namespace holdfast::node {

std::vector<PlacedMove> LeaderPlacement::Next(const std::vector<raft::GroupStatus>& groups,
                                              const LoadState& own,
                                              const std::map<NodeId, PeerLoad>& peers,
                                              absl::Duration now) {
  std::vector<PlacedMove> moves;
  for (const LeaderMove& move : shedding_.Next(groups, own, peers, now)) {
    moves.push_back({move.group, move.target, true, own.reason});
  }
  if (!own.overloaded) {
    const auto may_take = [this, &peers](NodeId node) {
      const auto peer = peers.find(node);
      return peer != peers.end() && peer->second.takes &&
             peer->second.permille < options_.take_below_permille;
    };
    for (const LeaderMove& move : balance_.Next(groups, may_take, now)) {
      moves.push_back({move.group, move.target, false, "its home is back"});
    }
  }
  for (const PlacedMove& move : moves) OnMoved(move.group, now);
  return moves;
}

void LeaderPlacement::OnMoved(GroupId group, absl::Duration now) {
  own_moves_[group] = now;
  balance_.OnMoved(group, now);
}

void LeaderPlacement::OnTold(const ToldMove& move) { balance_.OnMoved(move.group, move.at); }

std::vector<ToldMove> LeaderPlacement::Recent(absl::Duration now) const {
  std::vector<ToldMove> moves;
  for (const auto& [group, at] : own_moves_) {
    if (now - at < options_.move_interval) moves.push_back({group, at});
  }
  return moves;
}

}  // namespace holdfast::node
