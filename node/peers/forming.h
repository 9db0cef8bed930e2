// node/peers/forming.h
// Forming decides when the first nodes of a cluster may make their stores. All start with empty
// directories and the same list of nodes; each draws a token, and keeps it in a file. A node makes
// its store once every listed node has answered either "my directory is empty too, my token is T",
// or "I have made my store, and your token was among those that I saw". Anything else (a directory
// that was lost after the cluster began, other lists, another number of groups) is refused: a node
// that comes back without its disk must not vote as if it had never been there.
//
// The core decides; forming_exchange.h asks the peers.
// Threads: thread-compatible. No I/O.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "base/strong_id.h"
#include "proto/peer_call.pb.h"

namespace holdfast::node {

// What a node knows of the forming of its cluster; kept in the data directory.
struct FormingRecord {
  std::string token;                     // 32 hexadecimal digits.
  std::map<NodeId, std::string> tokens;  // Of all first nodes, once it is known. With ours.
  bool formed = false;                   // The store was made: without it this life is over.
  // 32 hexadecimal digits, drawn when the cluster was recovered from the loss of a majority; empty:
  // never. Nodes of different incarnations refuse each other.
  std::string incarnation{};

  std::string ToText() const;
  // kDataLoss: not such a text.
  static absl::StatusOr<FormingRecord> FromText(std::string_view text);
};

class Forming {
 public:
  // `nodes`: all first nodes, with `self`; ascending.
  Forming(NodeId self, std::vector<NodeId> nodes, uint32_t queue_groups, FormingRecord record,
          bool formed);

  // Asks everybody anew: what they said before may have changed since.
  void StartRound();

  // What we say to peers.
  peer_call::Forming Say() const;

  // A peer said this. kFailedPrecondition: this cluster can't be formed, for good; says why and
  // what to do.
  absl::Status OnSaid(NodeId peer, const peer_call::Forming& said);

  // Peers that have not answered yet, or only with something that we can't build on.
  std::vector<NodeId> Missing() const;
  // All have: `record` is to be stored, then the store may be made.
  bool complete() const { return Missing().empty(); }
  FormingRecord record() const;
  void SetFormed() { formed_ = true; }
  // Told by who let us join.
  void SetIncarnation(std::string incarnation) { incarnation_ = std::move(incarnation); }
  bool formed() const { return formed_; }

 private:
  const NodeId self_;
  const std::vector<NodeId> nodes_;
  const uint32_t queue_groups_;
  const std::string token_;
  std::map<NodeId, std::string> tokens_;
  std::string incarnation_;
  bool formed_;
};

}  // namespace holdfast::node
