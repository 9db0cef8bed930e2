// node/node_replays.h
// Wires a node's ReplayGuard to its host, its peers and its rows.
// Threads: the guard's. Lifetime: what NodeReplayParts refers to outlives the guard.
#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/context.h"
#include "node/config/settings.h"
#include "node/control/policy.h"
#include "node/peers/peer_room.h"
#include "node/peers/propose_router.h"
#include "node/replay/replay_guard.h"
#include "node/submit/node_health.h"
#include "raft/host/group_host.h"
#include "raft/storage/store.h"

namespace holdfast::node {

struct NodeReplayParts {
  const NodeSettings& settings;
  raft::GroupHost& host;
  PeerRoom& room;
  raft::Store& store;
  Context& apply_context;
  const NodeHealth& health;
  const PolicyHolder& policy;
  const Clock& clock;
  uint32_t queue_groups;
  std::function<void(GroupId, raft::Proposal, raft::ProposeCallback)> propose;
  std::function<KnownLeader(GroupId)> leader_of;
};

std::unique_ptr<ReplayGuard> MakeReplays(const NodeReplayParts& parts);

}  // namespace holdfast::node
