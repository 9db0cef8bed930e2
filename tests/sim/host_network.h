// tests/sim/host_network.h
// The network between simulated nodes: it delays, loses, repeats and reorders messages, and cuts
// links one way or both. Fetches go piece by piece, and break. Bodies are filled in when a message
// leaves, some time after it was sent, as the real transport does it. Threads: one. Lifetime: the
// nodes given to Join() outlive it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "tests/sim/host_node.h"

namespace holdfast::raft_test {

struct NetworkWeather {
  uint64_t lose_permille = 0;
  uint64_t repeat_permille = 0;
  uint64_t late_permille = 0;                        // Take up to late_max instead of delay_max.
  absl::Duration queue_max = absl::Milliseconds(1);  // Before it leaves.
  absl::Duration delay_max = absl::Milliseconds(3);
  absl::Duration late_max = absl::Milliseconds(500);
  absl::Duration fetch_timeout = absl::Seconds(2);
};

class HostNetwork {
 public:
  explicit HostNetwork(const SimShared& shared) : shared_(shared) {}

  // Whether nothing gets from one node to the other, because of what one of them knows.
  using Apart = std::function<bool(NodeId from, NodeId to)>;
  void SetApart(Apart apart) { apart_ = std::move(apart); }

  void Join(HostNode& node) { nodes_[node.id()] = &node; }
  NetworkWeather& weather() { return weather_; }

  void Send(HostNode& from, NodeId to, GroupId group, raft::Message message);
  void Fetch(HostNode& from, NodeId peer, std::string request,
             std::shared_ptr<raft::FetchSink> sink);
  // As Transport::Call(): `done` is heard in the life that asked, or not at all.
  void Call(HostNode& from, NodeId to, std::string request, absl::Duration timeout,
            raft::CallReply done);
  // The node's life ends: its fetches and calls are dropped, and those to it break.
  void Forget(NodeId node);

  // One direction.
  void Cut(NodeId from, NodeId to) { cut_.insert({from, to}); }
  // Some kind of cut, or the end of all of them.
  void CutOrMend();
  void Mend() { cut_.clear(); }
  // Both directions are open.
  bool Connects(NodeId a, NodeId b) const { return !IsCut(a, b) && !IsCut(b, a); }

  uint64_t delivered() const { return delivered_; }

 private:
  struct Sent {
    NodeId from;
    uint64_t from_life = 0;
    NodeId to;
    GroupId group;
    raft::Message message;
  };

  // An answer that is being pulled. The source lives at `peer`, from its first piece on.
  struct Fetching {
    NodeId from;
    NodeId peer;
    std::string request;
    std::shared_ptr<raft::FetchSink> sink;
    std::unique_ptr<raft::FetchSource> source;
  };

  // A question without its answer.
  struct Calling {
    NodeId from;
    NodeId to;
    raft::CallReply done;
  };

  absl::Duration UpTo(absl::Duration most);
  NodeId AnyNode();
  void CutOff(NodeId alone);
  void CutBridge(NodeId bridge);
  void Leave(Sent sent);
  void Arrive(Sent sent);
  // The sender may notice that something to `to` was lost.
  void Lost(const Sent& sent, bool surely);

  bool IsCut(NodeId from, NodeId to) const;
  bool Passes(NodeId from, NodeId to);
  // Runs `step` at `node` for fetch `number` after a while, unless it has broken by then.
  void FetchLater(uint64_t number, NodeId node, std::function<void(uint64_t)> step);
  void DeliverCall(uint64_t number, NodeId from, NodeId to, std::string request);
  void EndCall(uint64_t number, absl::StatusOr<std::string> answer);
  void GivePiece(uint64_t number);
  void TakePiece(uint64_t number, std::string piece);
  void EndFetch(uint64_t number, const absl::Status& status);

  const SimShared shared_;
  NetworkWeather weather_;
  Apart apart_;
  std::map<NodeId, HostNode*> nodes_;
  std::set<std::pair<NodeId, NodeId>> cut_;
  std::map<uint64_t, Fetching> fetches_;
  uint64_t next_fetch_ = 1;
  std::map<uint64_t, Calling> calls_;
  uint64_t next_call_ = 1;
  uint64_t delivered_ = 0;
};

}  // namespace holdfast::raft_test
