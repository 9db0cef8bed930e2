// node/peer_service.h
// What other nodes may ask of this one: what concerns its queue groups (queue_service.h),
// hand-over, joining, replays, shares of destinations' limits (proto/peer_call.proto).
//
// Threads:  ServePeers() once, before the gate is opened; the parts are called on the transport's
//           threads, and must be thread-safe or are reached by their context.
// Lifetime: the parts outlive the transport's Stop().
// Limits:   the transport bounds calls and their bytes (raft/transport/grpc_served_calls.h).
#pragma once

#include <memory>
#include <vector>

#include "base/context.h"
#include "node/cluster/cluster_duties.h"
#include "node/cluster/cluster_verbs.h"
#include "node/delivery/group_duties.h"
#include "node/limits/share_exchange.h"
#include "node/peers/peer_gate.h"
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

}  // namespace holdfast::node
