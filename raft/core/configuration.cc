// Who belongs to the group, and snapshots, which bring both a log and a configuration (thesis
// chapters 4 and 5).
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "raft/core/core_impl.h"

namespace holdfast::raft {

InflightLimits RaftCore::Impl::inflight_limits() const {
  return {options.inflight_messages_max, options.inflight_bytes_max};
}

ConfState RaftCore::Impl::ApplyConfEntry(const Entry& entry) {
  absl::StatusOr<ConfChange> change = DecodeConfChange(entry);
  HOLDFAST_CHECK(change.ok()) << holdfast::Message(change.status());
  if (entry.index <= configured_to_) return members.config.ToConfState();
  ConfState state = ApplyConfChange(*change);
  configured_to_ = entry.index;
  return state;
}

ConfState RaftCore::Impl::ApplyConfChange(const ConfChange& change) {
  absl::StatusOr<Membership> next =
      MembershipChanger(log.last(), inflight_limits()).Apply(members, change);
  // It was checked when it was proposed and committed since: others have applied it.
  HOLDFAST_CHECK(next.ok()) << "a committed configuration change can't be applied: "
                            << holdfast::Message(next.status());
  return SwitchTo(*std::move(next));
}

ConfState RaftCore::Impl::SwitchTo(Membership next) {
  members = std::move(next);
  ConfState state = members.config.ToConfState();
  if (!leading()) return state;
  const Progress* self = FindProgress(id);
  if (self == nullptr || self->learner()) {
    // Until it steps down it leads on without counting itself (thesis 4.2.2).
    if (options.step_down_on_removal) BecomeFollower(term, kNoNode);
    return state;
  }
  if (TryCommit()) {
    // The new quorum is smaller, or made of others: more is committed now.
    ReleaseEarlyReads();
    BroadcastAppend();
  } else {
    // New members need not wait for a heartbeat or a proposal.
    for (const auto& [node, progress] : members.progress) {
      if (node != id) TrySendAppend(node, /*even_if_empty=*/false);
    }
  }
  if (!members.config.voters.Contains(transfer_target_)) AbortTransfer();
  return state;
}

void RaftCore::Impl::AppliedTo(LogIndex index, uint64_t bytes) {
  log.AppliedTo(std::max(index, log.applied()), bytes);
  if (!leading() || !members.config.auto_leave || log.applied() < pending_conf_index_) return;
  // The joint configuration is applied: leave it. Refused only while leadership is being handed
  // over; then the next leader does it, or we try again with the next applied entry.
  (void)AppendProposal({EncodeConfChange({})});
}

void RaftCore::Impl::SnapshotInstalled(const Snapshot& snapshot) {
  log.StableSnapshotTo(snapshot.index);
  AppliedTo(snapshot.index, 0);
}

void RaftCore::Impl::HandleSnapshot(const Message& message) {
  const LogIndex reached = RestoreSnapshot(message.snapshot) ? log.last() : log.committed();
  Send({.type = MessageType::kAppendResponse, .to = message.from, .index = reached});
}

// False: not needed or not fit; nothing but the commit index may have changed.
bool RaftCore::Impl::RestoreSnapshot(const std::shared_ptr<const Snapshot>& snapshot) {
  if (snapshot->index <= log.committed()) return false;
  HOLDFAST_CHECK(role == Role::kFollower) << "only followers take snapshots";
  const ConfState& conf_state = snapshot->conf_state;
  auto lists_us = [this](const std::vector<NodeId>& nodes) {
    return std::find(nodes.begin(), nodes.end(), id) != nodes.end();
  };
  if (!lists_us(conf_state.voters) && !lists_us(conf_state.learners) &&
      !lists_us(conf_state.voters_outgoing)) {
    Drop();
    return false;
  }
  const EntryId end{snapshot->index, snapshot->term};
  if (log.Matches(end)) {
    log.CommitTo(end.index);  // We have all of it already, but did not know it committed.
    return false;
  }
  absl::StatusOr<Membership> restored =
      MembershipChanger(end.index, inflight_limits()).Restore(conf_state);
  if (!restored.ok()) {
    Drop();
    return false;
  }
  log.Restore(snapshot);
  configured_to_ = end.index;
  SwitchTo(*std::move(restored));
  return true;
}

}  // namespace holdfast::raft
