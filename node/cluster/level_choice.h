// node/cluster/level_choice.h
// To which feature level an operator may raise the cluster: what every member's build speaks, as
// its last beat said (docs/decisions/023). Who is not heard might run any build.
// Threads: pure.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/strong_id.h"
#include "node/control/control_nodes.h"
#include "node/control/feature_level.h"
#include "node/peers/peers.h"
#include "raft/host/group_host.h"

namespace holdfast::node {

// A member, as far as it is known what it speaks.
struct SpokenLevels {
  NodeId node;
  bool heard = false;  // Within kSilentAfter; otherwise the rest says nothing.
  LevelRange speaks;
  std::string version;  // Of its program.
};

// All nodes that this one knows to take part, or to be about to: of its connections, of the control
// group's list (learners stand there), and the voters of any group. Ascending.
std::vector<NodeId> AllMembers(const Peers& room, const std::vector<NodeRow>& rows,
                               const std::vector<raft::GroupStatus>& groups);

// Of these, `self` among them, at `now` (Clock::SinceBoot()).
std::vector<SpokenLevels> WhatMembersSpeak(const std::vector<NodeId>& members,
                                           const BeatTable& beats, NodeId self,
                                           const LevelRange& own, absl::Duration now);

// The highest level that all members speak; `agreed` where somebody is not heard, or speaks less.
uint32_t HighestSpoken(uint32_t agreed, const std::vector<SpokenLevels>& members);

// What to propose for the wish `wanted`; 0: as high as possible. kFailedPrecondition: a member is
// not heard, or its build does not speak that: the text names it. kAlreadyExists: the cluster is
// there.
absl::StatusOr<uint32_t> ChooseLevel(uint32_t agreed, uint32_t wanted,
                                     const std::vector<SpokenLevels>& members);

}  // namespace holdfast::node
