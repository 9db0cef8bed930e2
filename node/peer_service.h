// node/peer_service.h
// What other nodes may ask of this one, and what this one asks of them: proposals for a group that
// is led here, attempts that are under way, hand-over, joining, replays, shares of destinations'
// limits (proto/peer_call.proto).
//
// Threads:  ServePeers() once, before the gate is opened; the parts are called on the transport's
//           threads, and must be thread-safe or are reached by their context.
// Lifetime: the parts outlive the transport's Stop().
// Limits:   the transport bounds calls and their bytes (raft/transport/grpc_served_calls.h).
// Errors:   kInvalidArgument for a command that this node could not apply: once committed it would
//           end every node. kNotFound for a group that does not exist.
#pragma once

#include <memory>
#include <vector>

#include "base/context.h"
#include "node/cluster/cluster_duties.h"
#include "node/cluster/cluster_verbs.h"
#include "node/delivery/group_duties.h"
#include "node/limits/share_exchange.h"
#include "node/peers/peer_gate.h"
#include "node/peers/peer_room.h"
#include "node/replay/replay_guard.h"
#include "raft/host/group_host.h"

namespace holdfast::node {

struct PeerServiceParts {
  raft::GroupHost& host;
  ClusterDuties& cluster;
  ClusterVerbs& verbs;
  Context& apply_context;
  std::vector<std::unique_ptr<GroupDuties>>& duties;
  ReplayGuard& replays;
  ShareExchange& shares;
};

void ServePeers(const PeerServiceParts& parts, PeerGate& gate);

// Asks another node which of these attempts are under way there.
UnderWayQuestion UnderWayQuestions(PeerRoom& room);

}  // namespace holdfast::node
