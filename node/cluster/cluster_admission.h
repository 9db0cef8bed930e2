// node/cluster/cluster_admission.h
// What the other nodes' state means for mail that clients offer here:
//   - while fewer than a majority of the voters report room on their disks above the reserve, no
//     node takes any: what a majority can't store can't be promised;
//   - an overloaded node that refuses knows whether a client is better off elsewhere.
// Threads: pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/strong_id.h"

namespace holdfast::node {

// A voter, as it told of itself lately.
struct VoterReport {
  NodeId node;
  bool heard = false;     // The rest means nothing otherwise.
  bool has_room = false;  // For a message beside the reserve.
  bool takes_mail = false;
  bool overloaded = false;
};

// nullopt: a majority has room, or nobody is known to have none (then the majority's silence is
// another matter, with another answer). Else why not: "insufficient storage: 1 of 3 nodes ...".
std::optional<std::string> SpaceShort(const std::vector<VoterReport>& voters);

// Another node takes mail and is not overloaded.
bool BetterElsewhere(NodeId self, const std::vector<VoterReport>& voters);

}  // namespace holdfast::node
