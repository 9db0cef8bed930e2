// node/queue_service.h
// What other nodes ask of this one's queue groups, and what this one asks of theirs: proposals for
// a group that is led here, its read index, and which attempts are under way
// (proto/peer_call.proto).
//
// Threads:  ServeQueue() once, before the gate is opened; calls come on the transport's threads.
// Lifetime: the parts outlive the transport's Stop().
// Limits:   the transport bounds calls and their bytes (raft/transport/grpc_served_calls.h).
// Errors:   kInvalidArgument for a command that this node could not apply: once committed it would
//           end every node. kNotFound for a group that does not exist.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/context.h"
#include "node/delivery/group_duties.h"
#include "node/peers/peer_gate.h"
#include "raft/host/group_host.h"

namespace holdfast::node {

struct QueueServiceParts {
  raft::GroupHost& host;
  Context& apply_context;
  std::vector<std::unique_ptr<GroupDuties>>& duties;
};

void ServeQueue(const QueueServiceParts& parts, PeerGate& gate);

// Transport::Call().
using PeerCaller = std::function<void(NodeId to, std::string request, absl::Duration timeout,
                                      std::function<void(absl::StatusOr<std::string>)> done)>;

// Asks another node which of these attempts are under way there.
UnderWayQuestion UnderWayQuestions(PeerCaller call);

}  // namespace holdfast::node
