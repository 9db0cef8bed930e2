// node/peers/peer_book.h
// PeerBook knows to which other nodes this one connects, and where: those of its node file, as the
// control group's list has changed them, and such as speak to it without being in either. The
// latter came while this node was away: if it did not answer them it could never apply what would
// tell it who they are, once all that it knows are gone or don't lead.
//
// Threads: thread-compatible. Pure.
// Limits:  kToldMax nodes that only they themselves told of.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/strong_id.h"
#include "node/peers/peers.h"

namespace holdfast::node {

class PeerBook {
 public:
  using Addresses = std::map<NodeId, std::string>;
  static constexpr size_t kToldMax = 16;

  PeerBook(NodeId self, Addresses file) : self_(self), file_(std::move(file)), peers_(file_) {}

  // As Peers::SetNodes(). What nodes told of themselves counts until the list has them.
  void SetNodes(const std::vector<PeerChange>& changes) {
    peers_ = file_;
    removed_.clear();
    for (const PeerChange& change : changes) {
      told_.erase(change.node);
      if (change.removed) {
        removed_.insert(change.node);
        peers_.erase(change.node);
      } else if (change.node != self_) {
        peers_[change.node] = change.address;
      }
    }
    peers_.insert(told_.begin(), told_.end());
  }

  // A node of this cluster says where it is. True: it was not known.
  bool OnTold(NodeId peer, const std::string& address) {
    const bool known = peer == self_ || peers_.contains(peer) || removed_.contains(peer);
    if (known || address.empty() || told_.size() >= kToldMax) return false;
    told_[peer] = address;
    peers_[peer] = address;
    return true;
  }

  // All others.
  const Addresses& peers() const { return peers_; }
  const std::set<NodeId>& removed() const { return removed_; }

 private:
  const NodeId self_;
  const Addresses file_;
  Addresses told_;
  Addresses peers_;
  std::set<NodeId> removed_;
};

}  // namespace holdfast::node
