// node/peers/peers.h
// Peers is what a node's duties in its cluster need of the other nodes: PeerRoom, or what a
// simulation has.
// Threads: thread-safe.
#pragma once

#include <string>
#include <vector>

#include "base/strong_id.h"
#include "node/peers/beat_table.h"

namespace holdfast::node {

// A node that joined or was removed.
struct PeerChange {
  NodeId node;
  bool removed = false;
  std::string address;  // "host:port"; empty: as the node file says.
};

class Peers {
 public:
  virtual ~Peers() = default;

  // There are none, and never will be.
  virtual bool alone() const = 0;
  // Tells them how this node is, when it is time.
  virtual void Tick() = 0;
  // Nodes that came and went since the node files were written. Replaces what was said before.
  virtual void SetNodes(const std::vector<PeerChange>& changes) = 0;
  // All, with this one; ascending.
  virtual std::vector<NodeId> nodes() const = 0;
  // What they told.
  virtual const BeatTable& beats() const = 0;
};

}  // namespace holdfast::node
