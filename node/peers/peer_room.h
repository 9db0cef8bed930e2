// node/peers/peer_room.h
// PeerRoom is this node's connection with the other nodes of its cluster: transport, gate, the
// forming of a new cluster, and the beats that nodes exchange. A node without `cluster` in its node
// file has none: its transport carries nothing.
//
//   room.Start();                          // listens, connects
//   first = room.Form(give_up);            // only with an empty directory
//   room.gate().Serve(...); room.Open(host, make_beat);
//   room.Tick();                           // from the node's ticker
//   room.Stop();                           // after the host's Stop()
//
// Threads:  Start(), Form(), Open() and Stop() from one thread, Tick() and SetNodes() from the
//           ticker. The rest is thread-safe.
// Lifetime: settings, level and clock outlive it; the host outlives Stop().
#pragma once

#include <absl/time/time.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "node/config/settings.h"
#include "node/peers/beat_table.h"
#include "node/peers/forming.h"
#include "node/peers/peer_book.h"
#include "node/peers/peer_gate.h"
#include "node/peers/peers.h"
#include "raft/transport/grpc_transport.h"

namespace holdfast::node {

// A cluster that is about to begin.
struct FirstNodes {
  std::string cluster_id;
  std::vector<NodeId> voters;
};

class PeerRoom final : public Peers {
 public:
  PeerRoom(const NodeSettings& settings, const FeatureLevel& level, const Clock& clock,
           uint32_t queue_groups);
  ~PeerRoom() override;  // Stop().

  bool alone() const override { return !settings_.cluster.has_value(); }
  // The node's cluster, as certificate or node file say; empty when alone. After Start().
  const std::string& cluster_id() const { return cluster_id_; }

  // kInvalidArgument: unusable TLS files. kUnavailable: the address can't be listened on.
  // kDataLoss: the forming record. `formed`: the node has its store.
  absl::Status Start(bool formed);

  // Waits until all first nodes are there with empty directories; alone at once. kCancelled:
  // `give_up` said true. kFailedPrecondition: see Forming::OnSaid().
  absl::StatusOr<FirstNodes> Form(const std::function<bool()>& give_up);
  // Instead of Form(), for a node that joins: asks members until they let it begin, which takes an
  // operator's `cluster join`. kCancelled: `give_up`. kFailedPrecondition: it has begun before.
  absl::StatusOr<FirstNodes> Join(const std::function<bool()>& give_up);
  // There is a store. Written down where a lost store is noticed at the next start.
  absl::Status SetFormed();

  // Messages go to the host, and peers are told `make_beat` once a second.
  void Open(raft::GroupHost& host, std::function<peer_call::Beat()> make_beat);
  void Tick() override;
  // Peers are told with the next tick: something can't wait.
  void BeatSoon() { beat_soon_.store(true, std::memory_order_release); }
  std::vector<NodeId> peers() const { return PeersNow(); }

  // As Transport::Call(). Alone: kUnavailable.
  void Call(NodeId to, std::string request, absl::Duration timeout,
            std::function<void(absl::StatusOr<std::string>)> done);

  void SetNodes(const std::vector<PeerChange>& changes) override;

  // Whether peers of this cluster may have that address.
  absl::Status CheckAddress(const std::string& address) const;

  PeerGate& gate() { return gate_; }
  raft::Transport& transport();
  const BeatTable& beats() const override { return beats_; }
  // Empty when alone.
  std::vector<raft::PeerCounts> Counts() const;
  // By the node file and what changed since, with this one; ascending.
  std::vector<NodeId> nodes() const override;
  std::string AddressOf(NodeId node) const;
  // See FormingRecord. After Start().
  std::string incarnation() const;

  void Stop();

 private:
  absl::Status LoadRecord(bool formed);
  // One question to every peer; what they said is in forming_.
  absl::Status FormingRound();
  // One question to every peer of the node file; OK: a member let us begin.
  absl::Status JoiningRound();
  std::vector<NodeId> PeersNow() const;
  // A peer says where it is.
  void OnTold(NodeId peer, const std::string& address);
  // Has the transport connect to those of the book.
  void UpdatePeers();
  peer_call::Forming SayForming();

  const NodeSettings& settings_;
  const Clock& clock_;
  const uint32_t queue_groups_;
  std::string cluster_id_;
  PeerGate gate_;
  BeatTable beats_;
  raft::NullTransport nobody_;
  std::unique_ptr<raft::GrpcTransport> transport_;
  mutable Mutex mutex_;
  PeerBook book_ ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> opened_{false};
  std::atomic<bool> told_{false};  // The book has somebody more: Tick() connects to it.
  std::unique_ptr<Forming> forming_ ABSL_GUARDED_BY(mutex_);
  bool recorded_formed_ = false;
  std::function<peer_call::Beat()> make_beat_;
  absl::Duration next_beat_ = -absl::InfiniteDuration();
  std::atomic<bool> beat_soon_{false};
};

}  // namespace holdfast::node
