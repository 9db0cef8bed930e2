// What can't be. Checked after every public call; all of it is cheap enough for release builds,
// since the work grows with the number of members, not with the log.
#include "base/check.h"
#include "raft/core/core_impl.h"

namespace holdfast::raft {

void RaftCore::Impl::CheckInvariants() {
  log.CheckInvariants();

  // Over time: terms, votes and what is decided never go back (thesis 3.8, figure 3.2).
  HOLDFAST_CHECK(term >= seen_.term) << "term fell from " << seen_.term << " to " << term;
  if (term == seen_.term) {
    HOLDFAST_CHECK(seen_.vote == kNoNode || vote == seen_.vote)
        << "second vote in term " << term << ": " << seen_.vote << ", then " << vote;
    HOLDFAST_CHECK(role == Role::kLeader || role == Role::kFollower || seen_.role != Role::kLeader)
        << "a leader stands for election in its own term " << term;
    HOLDFAST_CHECK(role != Role::kLeader || seen_.role != Role::kLeader || log.last() >= seen_.last)
        << "a leader's log shrank from " << seen_.last << " to " << log.last();
  }
  HOLDFAST_CHECK(log.committed() >= seen_.committed && log.applied() >= seen_.applied)
      << "commit or applied fell";
  seen_ = {term, vote, log.committed(), log.applied(), role, log.last()};

  // Of roles.
  HOLDFAST_CHECK((role == Role::kLeader) == (leader == id)) << "leader " << leader << " at " << id;
  HOLDFAST_CHECK((role != Role::kCandidate && role != Role::kPreCandidate) || leader == kNoNode)
      << "a candidate follows " << leader;
  HOLDFAST_CHECK((role != Role::kCandidate && role != Role::kLeader) || vote == id)
      << "candidate or leader " << id << " voted for " << vote;
  HOLDFAST_CHECK(role == Role::kLeader ||
                 (transfer_target_ == kNoNode && reads_.waiting() == 0 && early_reads_.empty()))
      << "leftovers of leadership";

  // Of a leader's view of others.
  if (role != Role::kLeader) return;
  HOLDFAST_CHECK(!log.snapshot_pending()) << "a leader installs a snapshot";
  for (const auto& [node, progress] : members.progress) {
    HOLDFAST_CHECK(progress.match() < progress.next() && progress.match() <= log.last())
        << "node " << node << ": match " << progress.match() << ", next " << progress.next()
        << ", last " << log.last();
    HOLDFAST_CHECK(node != id || progress.match() < log.unsent_from())
        << "the leader counts entry " << progress.match()
        << " of its own, which no append task has carried";
  }
}

}  // namespace holdfast::raft
