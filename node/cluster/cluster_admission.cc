#include "node/cluster/cluster_admission.h"

#include <algorithm>

#include "base/text.h"

namespace holdfast::node {

std::optional<std::string> SpaceShort(const std::vector<VoterReport>& voters) {
  size_t with_room = 0;
  std::string without;
  for (const VoterReport& voter : voters) {
    if (!voter.heard) continue;
    if (voter.has_room) {
      ++with_room;
    } else {
      without += format("{}{}", without.empty() ? "" : ", ", voter.node.value());
    }
  }
  if (without.empty() || with_room * 2 > voters.size()) return std::nullopt;
  return format("insufficient storage: {} of {} nodes report room above their reserve (none: {})",
                with_room, voters.size(), without);
}

bool BetterElsewhere(NodeId self, const std::vector<VoterReport>& voters) {
  return std::any_of(voters.begin(), voters.end(), [self](const VoterReport& voter) {
    return voter.node != self && voter.heard && voter.takes_mail && !voter.overloaded;
  });
}

}  // namespace holdfast::node
