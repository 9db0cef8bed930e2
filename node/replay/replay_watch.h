// node/replay/replay_watch.h
// ReplayWatch knows whether clients may just now be offering again what some node of the cluster
// has accepted already: then submissions are compared with what the groups remember before they
// are proposed. In a healthy cluster they are not, for asking costs a round trip.
//
// A client offers again what it got no 250 for, although it was accepted. That takes one of:
//  - its connection ended between the commit and its next command, or it was told 451 with the
//    outcome unknown: the node that had it knows (*unsettled*), and tells the others in its beats;
//  - the node that had it is gone, paused or cut off: the others miss its beats or lose their
//    connections to it. Once it is heard again in the same life it tells itself what is unsettled,
//    so nothing is remembered of the silence; in a new life it has forgotten;
//  - this node itself has forgotten: it was restarted;
//  - the node that had it was removed from the cluster: nobody hears any more what it knows.
// Each counts as long as messages are remembered (`window`).
//
// Threads: thread-compatible. No I/O, no clock: `now` is Clock::SinceBoot().
// Limits:  one entry for each peer of the cluster.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/strong_id.h"

namespace holdfast::node {

class ReplayWatch {
 public:
  // A peer that was heard before and has not been for so long counts as lost.
  explicit ReplayWatch(absl::Duration silence_max) : silence_max_(silence_max) {}

  // This node took part before, and has forgotten what was unsettled.
  void OnRestart(absl::Duration now) { restarted_ = now; }
  // An answer of this node's may not have reached its client.
  void OnUnsettled(absl::Duration now) { unsettled_ = now; }

  // `life` differs from one start of the peer to the next. `unsettled_ago`: as it told.
  void OnBeat(NodeId peer, int64_t life, std::optional<absl::Duration> unsettled_ago,
              absl::Duration now);
  // Messages to it were lost, or its connection is gone.
  void OnUnreachable(NodeId peer, absl::Duration now);
  // Those that don't belong to the cluster are forgotten; that some of them did belong to it when
  // it was last called is not. (One that joins is heard before it belongs; one that was removed
  // goes on for as long as its process runs.)
  void KeepOnly(const std::set<NodeId>& peers, absl::Duration now);

  bool MustAsk(absl::Duration now, absl::Duration window) const;
  // Peers that were heard a moment ago.
  std::vector<NodeId> Heard(absl::Duration now) const;
  // Of this node itself, for its beats; nullopt: never.
  std::optional<absl::Duration> UnsettledAgo(absl::Duration now) const;

 private:
  struct Peer {
    int64_t life = 0;
    absl::Duration heard;
    std::optional<absl::Duration> unreachable;
    std::optional<absl::Duration> reborn;
    std::optional<absl::Duration> unsettled;
  };
  bool MayHaveLost(const Peer& peer, absl::Duration now, absl::Duration window) const;

  const absl::Duration silence_max_;
  std::optional<absl::Duration> restarted_;
  std::optional<absl::Duration> unsettled_;
  std::optional<absl::Duration> removed_;  // A peer, last.
  std::map<NodeId, Peer> peers_;
  std::set<NodeId> belong_;
};

}  // namespace holdfast::node
