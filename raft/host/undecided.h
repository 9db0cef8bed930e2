// raft/host/undecided.h
// Undecided keeps the proposals of one group that have a place in the log and no answer yet, and
// decides what may be said about each:
//
//   applied at its place with its term        the state machine's verdict
//   another entry was applied that rules it   kAborted: see Decide()
//     out for ever
//   its deadline passed first                 kDeadlineExceeded: the outcome is unknown, and the
//                                             proposal stays known until it is decided, for its
//                                             bytes are still held
//
// Losing leadership decides nothing: a new leader may have the entry and commit it.
// Threads: owned by the raft context. Pure.
#pragma once

#include <absl/time/time.h>

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "base/check.h"
#include "raft/core/raft_types.h"

namespace holdfast::raft {

// `Answer` is what is kept for a proposal (callback and reservations).
template <typename Answer>
class Undecided {
 public:
  struct Pending {
    Term term = 0;
    absl::Duration deadline;
    Answer answer;
    bool timed_out = false;
  };

  // Each proposal comes behind all that were added before: a leader appends, and terms rise.
  void Add(LogIndex index, Term term, absl::Duration deadline, Answer answer) {
    HOLDFAST_CHECK(pending_.empty() || pending_.rbegin()->first < Place(term, index))
        << "entry " << index << " in term " << term << " was proposed before";
    pending_.emplace(Place(term, index), Pending{term, deadline, std::move(answer)});
  }

  // The entry (index, term) is about to be applied. Answers with the proposal that it is, if it is
  // one of ours, and appends to `aborted` those that can't be applied any more: everything proposed
  // in an older term, and everything before it in its own. (Terms never fall along a log, so no log
  // that agrees on this entry has an older one behind it; thesis 3.5.)
  std::optional<Pending> Decide(LogIndex index, Term term, std::vector<Pending>& aborted) {
    std::optional<Pending> match;
    while (!pending_.empty() && pending_.begin()->first <= Place(term, index)) {
      auto it = pending_.begin();
      if (it->first == Place(term, index)) {
        match = std::move(it->second);
      } else {
        aborted.push_back(std::move(it->second));
      }
      pending_.erase(it);
    }
    return match;
  }

  // Visits, once each, the proposals whose deadline is at or before `now`.
  template <typename Visit>
  void Expire(absl::Duration now, Visit visit) {
    for (auto it = pending_.upper_bound(expired_through_); it != pending_.end(); ++it) {
      if (it->second.deadline > now) break;
      expired_through_ = it->first;
      it->second.timed_out = true;
      visit(it->second);
    }
  }

  // Takes everything, in order of the log.
  std::vector<Pending> TakeAll() {
    std::vector<Pending> all;
    for (auto& [place, pending] : pending_) all.push_back(std::move(pending));
    pending_.clear();
    return all;
  }

  size_t size() const { return pending_.size(); }

 private:
  // Terms first: that is the order in which proposals were made, and in which deadlines come.
  using Place = std::pair<Term, LogIndex>;

  std::map<Place, Pending> pending_;
  Place expired_through_{0, 0};
};

}  // namespace holdfast::raft
