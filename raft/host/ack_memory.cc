#include "raft/host/ack_memory.h"

#include <algorithm>

namespace holdfast::raft {

void AckMemory::Note(GroupId group, NodeId replica, Term term, LogIndex index) {
  if (index == 0) return;  // Nothing was acknowledged in this term yet.
  MutexLock lock(mutex_);
  std::pair<Term, LogIndex>& newest = newest_[{replica, group}];
  newest = std::max(newest, {term, index});
}

std::vector<Acknowledgement> AckMemory::Of(NodeId replica) const {
  std::vector<Acknowledgement> out;
  MutexLock lock(mutex_);
  for (auto it = newest_.lower_bound({replica, GroupId()});
       it != newest_.end() && it->first.first == replica; ++it) {
    out.push_back({it->first.second, it->second.first, it->second.second});
  }
  return out;
}

absl::Status CheckAcknowledged(const GroupRecord& record, const Acknowledgement& given,
                               NodeId leader) {
  const Term known = record.hard_state.term;
  if (known > given.term || (known == given.term && record.last >= given.index)) {
    return absl::OkStatus();
  }
  return MakeStatus(absl::StatusCode::kDataLoss,
                    "group {}: node {}, leader in term {}, has this node's word that entries up to "
                    "{} are on its disk, but the store ends at entry {} and knows of term {}",
                    given.group.value(), leader.value(), given.term, given.index, record.last,
                    known);
}

}  // namespace holdfast::raft
