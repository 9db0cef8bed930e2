// raft/host/ack_memory.h
// What a leader remembers of its followers' promises, so that a follower whose store forgot one is
// found out (docs/decisions/015). An acknowledgement says: "while I led in `term`, your replica
// told me that all entries up to `index` are on your disk". A replica can't have told so without
// having `term` on disk, for it is written before, and what it says of its log is said in the name
// of that term. Each leader remembers the newest for each replica, after its leadership too, until
// its process ends.
//
// A store that goes back to an earlier moment is judged by the term that it still knows:
//   below `term`    it was told before this moment of the store: forgotten, certainly.
//   equal           within a term only that term's leader changes a log, and never takes back what
//                   it had acknowledged: a last index below `index` is a loss, certainly.
//   above           the moment is younger than the promise, so the store has what was promised or
//                   rightly dropped it: a newer leader may have replaced what was not committed,
//                   also by a shorter log and by older terms. Nothing follows, and nothing is lost.
// Threads:  AckMemory is thread-safe; the rest are functions of their arguments.
// Limits:   one acknowledgement for each group and replica; those of removed nodes stay.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "base/strong_id.h"
#include "raft/storage/store.h"

namespace holdfast::raft {

struct Acknowledgement {
  GroupId group;
  Term term = 0;
  LogIndex index = 0;

  bool operator==(const Acknowledgement&) const = default;
};

class AckMemory {
 public:
  // `replica` acknowledged `index` to this node, which leads in `term`. Older news changes nothing.
  void Note(GroupId group, NodeId replica, Term term, LogIndex index);
  // In the order of groups.
  std::vector<Acknowledgement> Of(NodeId replica) const;

 private:
  mutable Mutex mutex_;
  // By replica and group: term and index.
  std::map<std::pair<NodeId, GroupId>, std::pair<Term, LogIndex>> newest_ ABSL_GUARDED_BY(mutex_);
};

// `record` is what the store of the replica knows now. kDataLoss: it has forgotten that it gave
// this acknowledgement to `leader`.
absl::Status CheckAcknowledged(const GroupRecord& record, const Acknowledgement& given,
                               NodeId leader);

}  // namespace holdfast::raft
