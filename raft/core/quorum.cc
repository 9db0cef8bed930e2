#include "raft/core/quorum.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace holdfast::raft {

LogIndex CommittedIndex(const NodeSet& voters, const std::map<NodeId, LogIndex>& acked) {
  if (voters.empty()) return std::numeric_limits<LogIndex>::max();
  std::vector<LogIndex> indexes;
  indexes.reserve(voters.size());
  for (NodeId voter : voters) {
    auto found = acked.find(voter);
    indexes.push_back(found == acked.end() ? 0 : found->second);
  }
  // The n/2-th largest (counting from 0) is the one that n/2 + 1 voters have reached.
  auto nth = indexes.begin() + static_cast<std::ptrdiff_t>(indexes.size() / 2);
  std::nth_element(indexes.begin(), nth, indexes.end(), std::greater<>());
  return *nth;
}

VoteResult CountVotes(const NodeSet& voters, const std::map<NodeId, bool>& votes) {
  if (voters.empty()) return VoteResult::kWon;
  size_t granted = 0;
  size_t missing = 0;
  for (NodeId voter : voters) {
    auto found = votes.find(voter);
    if (found == votes.end()) {
      ++missing;
    } else if (found->second) {
      ++granted;
    }
  }
  const size_t needed = voters.size() / 2 + 1;
  if (granted >= needed) return VoteResult::kWon;
  return granted + missing >= needed ? VoteResult::kPending : VoteResult::kLost;
}

NodeSet JointQuorum::All() const {
  NodeSet all = incoming;
  all.insert(outgoing.begin(), outgoing.end());
  return all;
}

LogIndex JointQuorum::Committed(const std::map<NodeId, LogIndex>& acked) const {
  return std::min(CommittedIndex(incoming, acked), CommittedIndex(outgoing, acked));
}

VoteResult JointQuorum::Count(const std::map<NodeId, bool>& votes) const {
  const VoteResult in = CountVotes(incoming, votes);
  const VoteResult out = CountVotes(outgoing, votes);
  if (in == out) return in;
  if (in == VoteResult::kLost || out == VoteResult::kLost) return VoteResult::kLost;
  return VoteResult::kPending;
}

}  // namespace holdfast::raft
