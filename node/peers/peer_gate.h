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
#include "node/control/feature_level.h"
#include "node/peers/peer_calls.h"
#include "raft/host/ack_memory.h"
#include "raft/host/group_host.h"
#include "raft/transport/transport.h"

namespace holdfast::node {

// Answers one kind of call; as PeerHandler::OnCall(): must not block.
using CallServer = std::function<void(NodeId peer, peer_call::Request request,
                                      std::function<void(absl::StatusOr<peer_call::Answer>)>)>;

// Hears what tells whether peers are there. Called on the transport's threads: must not block.
class PeerListener {
 public:
  virtual ~PeerListener() = default;
  virtual void OnBeat(NodeId peer, const peer_call::Beat& beat) = 0;
  // Messages to it were lost.
  virtual void OnUnreachable(NodeId peer) = 0;
};

// Nodes whose wall clocks differ by more refuse each other: stamps and expiry would go wrong.
inline constexpr absl::Duration kClockDifferenceMax = absl::Seconds(30);

class PeerGate final : public raft::PeerHandler {
 public:
  // What it is given outlives it.
  PeerGate(const TimingSettings& timing, const FeatureLevel& level, const Clock& clock)
      : timing_(timing), level_(level), clock_(clock) {}

  // Calls of that kind go there from now on; until then they answer kUnavailable.
  void Serve(peer_call::Request::KindCase kind, CallServer server);
  // Whether this node has begun to take part in its cluster, and in which incarnation; see
  // FormingRecord. Before the first peer connects, and when either changes.
  void SetLife(bool begun, std::string incarnation);
  // Nodes that were removed from the cluster: they are refused.
  void SetRemoved(std::set<NodeId> removed);
  // Who is told, on a thread of the transport, that a peer remembers what this node's store has
  // forgotten. Before Open().
  void OnAmnesia(std::function<void(const absl::Status&)> act) { on_amnesia_ = std::move(act); }
  // Messages go to the host from now on, which was started, and so does what peers' hellos said.
  void Open(raft::GroupHost& host);
  // Hears of peers from now on; outlives the transport's Stop().
  void Listen(PeerListener& listener) { listener_.store(&listener, std::memory_order_release); }
  PeerListener* listener() const { return listener_.load(std::memory_order_acquire); }

  std::string Hello(NodeId peer) override;
  // kFailedPrecondition: other timers, a clock too far off, a node that was removed, or one of
  // another incarnation. kUnimplemented: its build does not speak the cluster's feature level.
  // kDataLoss: see OnAmnesia().
  absl::Status OnHello(NodeId peer, std::string_view hello) override;
  // Messages, calls and fetches of a peer that does not speak the cluster's feature level are not
  // heard.
  void OnMessage(NodeId from, GroupId group, raft::Message message) override;
  void OnMessages(NodeId from, std::vector<raft::GroupMessage> messages) override;
  void OnUnreachable(NodeId peer) override;
  absl::Status FillBodies(GroupId group, raft::Message& message) override;
  absl::StatusOr<std::unique_ptr<raft::FetchSource>> OpenFetch(NodeId peer,
                                                               std::string_view request) override;
  void OnCall(NodeId peer, std::string request, raft::CallReply reply) override;

 private:
  using Promises = std::vector<raft::Acknowledgement>;

  absl::Status CheckHello(NodeId peer, const peer_call::Hello& said);
  // By what the peer's newest connection said: others may have been there when the cluster was
  // raised, and a leader that is heard but can't hear holds everybody off.
  absl::Status CheckSpeaks(NodeId peer);
  void NoteSpeaks(NodeId peer, LevelRange speaks);
  // Of this node to `peer`, as it remembers them.
  absl::Status TakePromises(NodeId peer, const Promises& promised);
  absl::Status Greet(raft::GroupHost& host, NodeId peer, const Promises& promised);

  const TimingSettings timing_;
  const FeatureLevel& level_;
  const Clock& clock_;
  std::function<void(const absl::Status&)> on_amnesia_;
  std::atomic<raft::GroupHost*> host_{nullptr};
  std::atomic<PeerListener*> listener_{nullptr};
  Mutex mutex_;
  std::map<peer_call::Request::KindCase, std::shared_ptr<const CallServer>> servers_
      ABSL_GUARDED_BY(mutex_);
  std::set<NodeId> removed_ ABSL_GUARDED_BY(mutex_);
  std::map<NodeId, LevelRange> speaks_ ABSL_GUARDED_BY(mutex_);
  // Who spoke before Open(), and what they said: a store that is not in use promises nothing more.
  std::set<NodeId> greeted_ ABSL_GUARDED_BY(mutex_);
  raft::AckMemory told_;  // By peer. Written under mutex_.
  bool begun_ ABSL_GUARDED_BY(mutex_) = false;
  std::string incarnation_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace holdfast::node
