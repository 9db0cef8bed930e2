// node/peers/peer_gate.h
// PeerGate is what the transport sees of this node: it checks what peers say of themselves, hands
// Raft's messages to the group host, and lets the node's parts answer calls. It exists before the
// host does (a cluster is formed by calls), and until Open() it takes no messages.
//
// Threads:  thread-safe; called on the transport's threads.
// Lifetime: outlives the transport, whose Stop() ends all calls into it. What Open() and Serve()
//           give it outlives that Stop() too.
#pragma once

#include <absl/time/time.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "node/config/settings.h"
#include "node/peers/peer_calls.h"
#include "raft/host/group_host.h"
#include "raft/transport/transport.h"

namespace holdfast::node {

// Answers one kind of call; as PeerHandler::OnCall(): must not block.
using CallServer = std::function<void(NodeId peer, peer_call::Request request,
                                      std::function<void(absl::StatusOr<peer_call::Answer>)>)>;

// Nodes whose wall clocks differ by more refuse each other: stamps and expiry would go wrong.
inline constexpr absl::Duration kClockDifferenceMax = absl::Seconds(30);

class PeerGate final : public raft::PeerHandler {
 public:
  PeerGate(const TimingSettings& timing, const Clock& clock) : timing_(timing), clock_(clock) {}

  // Calls of that kind go there from now on; until then they answer kUnavailable.
  void Serve(peer_call::Request::KindCase kind, CallServer server);
  // Whether this node has begun to take part in its cluster, and in which incarnation; see
  // FormingRecord. Before the first peer connects, and when either changes.
  void SetLife(bool begun, std::string incarnation);
  // Nodes that were removed from the cluster: they are refused.
  void SetRemoved(std::set<NodeId> removed);
  // Messages go to the host from now on.
  void Open(raft::GroupHost& host);

  std::string Hello(NodeId peer) override;
  // kFailedPrecondition: other timers, a clock too far off, a node that was removed, or one of
  // another incarnation.
  // kUnimplemented: no common features.
  absl::Status OnHello(NodeId peer, std::string_view hello) override;
  void OnMessage(NodeId from, GroupId group, raft::Message message) override;
  void OnMessages(NodeId from, std::vector<raft::GroupMessage> messages) override;
  void OnUnreachable(NodeId peer) override;
  absl::Status FillBodies(GroupId group, raft::Message& message) override;
  absl::StatusOr<std::unique_ptr<raft::FetchSource>> OpenFetch(NodeId peer,
                                                               std::string_view request) override;
  void OnCall(NodeId peer, std::string request, raft::CallReply reply) override;

 private:
  const TimingSettings timing_;
  const Clock& clock_;
  std::atomic<raft::GroupHost*> host_{nullptr};
  Mutex mutex_;
  std::map<peer_call::Request::KindCase, std::shared_ptr<const CallServer>> servers_
      ABSL_GUARDED_BY(mutex_);
  std::set<NodeId> removed_ ABSL_GUARDED_BY(mutex_);
  bool begun_ ABSL_GUARDED_BY(mutex_) = false;
  std::string incarnation_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::node
