#include "node/cluster/level_choice.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <set>

#include "base/text.h"
#include "node/cluster/cluster_view.h"
#include "node/version.h"

namespace holdfast::node {

std::vector<NodeId> AllMembers(const Peers& room, const std::vector<NodeRow>& rows,
                               const std::vector<raft::GroupStatus>& groups) {
  const std::vector<NodeId> connected = room.nodes();
  std::set<NodeId> all(connected.begin(), connected.end());
  for (const raft::GroupStatus& group : groups) {
    all.insert(group.voters.begin(), group.voters.end());
  }
  for (const NodeRow& row : rows) {
    if (!row.removed) all.insert(row.node);
  }
  return {all.begin(), all.end()};
}

std::vector<SpokenLevels> WhatMembersSpeak(const std::vector<NodeId>& members,
                                           const BeatTable& beats, NodeId self,
                                           const LevelRange& own, absl::Duration now) {
  std::vector<SpokenLevels> all;
  for (const NodeId node : members) {
    SpokenLevels& member = all.emplace_back(SpokenLevels{node, true, own, kVersion});
    if (node == self) continue;
    const std::optional<HeardBeat> beat = beats.Of(node);
    member.heard = beat && now - beat->heard < kSilentAfter;
    if (!member.heard) continue;
    member.speaks = {beat->beat.feature_level_min(), beat->beat.feature_level_max()};
    member.version = beat->beat.version();
  }
  return all;
}

uint32_t HighestSpoken(uint32_t agreed, const std::vector<SpokenLevels>& members) {
  uint32_t highest = std::numeric_limits<uint32_t>::max();
  for (const SpokenLevels& member : members) {
    if (!member.heard) return agreed;
    highest = std::min(highest, member.speaks.max);
  }
  const bool all = std::all_of(members.begin(), members.end(), [highest](const auto& member) {
    return member.speaks.Has(highest);
  });
  return all && !members.empty() ? std::max(highest, agreed) : agreed;
}

absl::StatusOr<uint32_t> ChooseLevel(uint32_t agreed, uint32_t wanted,
                                     const std::vector<SpokenLevels>& members) {
  for (const SpokenLevels& member : members) {
    if (member.heard) continue;
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      "node {} is not heard, so nobody knows what its build speaks: bring it back, "
                      "or take it out with `holdfast cluster remove`",
                      member.node.value());
  }
  const uint32_t level = wanted != 0 ? wanted : HighestSpoken(agreed, members);
  if (level <= agreed) {
    return MakeStatus(absl::StatusCode::kAlreadyExists,
                      "the cluster is at feature level {} already{}", agreed,
                      wanted != 0 ? "" : ", and not all of its nodes speak a higher one");
  }
  for (const SpokenLevels& member : members) {
    if (member.speaks.Has(level)) continue;
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      "node {} runs version {}, which speaks feature levels {} to {}: install a "
                      "build that speaks {} on it first",
                      member.node.value(), member.version, member.speaks.min, member.speaks.max,
                      level);
  }
  return level;
}

}  // namespace holdfast::node
