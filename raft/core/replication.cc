// How entries travel: proposals, appends, heartbeats, answers, commit (thesis 3.5 and 3.6).
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "raft/core/core_impl.h"

namespace holdfast::raft {

absl::Status RaftCore::Impl::AppendProposal(std::vector<Entry> entries) {
  if (entries.empty()) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "nothing to propose");
  }
  if (FindProgress(id) == nullptr) {
    return MakeStatus(absl::StatusCode::kUnavailable, "the leader left the configuration");
  }
  if (transfer_target_ != kNoNode) {
    return MakeStatus(absl::StatusCode::kUnavailable, "leadership is being handed to node {}",
                      transfer_target_.value());
  }
  const absl::Status vetted = VetConfChanges(entries);
  if (!vetted.ok() && vetted.code() != absl::StatusCode::kAborted) return vetted;
  if (!AppendOwn(std::move(entries))) {
    return MakeStatus(absl::StatusCode::kResourceExhausted,
                      "{} undecided bytes, uncommitted_bytes_max is {}", uncommitted_bytes_,
                      options.uncommitted_bytes_max);
  }
  BroadcastAppend();
  return vetted;
}

// Blanks the changes that can't be taken now, so that a batch keeps its places, and says why.
// Others are remembered: at most one may be on its way (thesis 4.1).
absl::Status RaftCore::Impl::VetConfChanges(std::vector<Entry>& entries) {
  absl::Status refusal;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].type == EntryType::kNormal) continue;
    absl::StatusOr<ConfChange> change = DecodeConfChange(entries[i]);
    if (!change.ok()) return change.status();
    const bool joint = members.config.voters.joint();
    const bool leaves = change->steps.empty();
    const char* reason = nullptr;
    if (pending_conf_index_ > log.applied()) {
      reason = "an earlier configuration change may not be applied yet";
    } else if (joint && !leaves) {
      reason = "the joint configuration must be left first";
    } else if (!joint && leaves) {
      reason = "there is no joint configuration to leave";
    }
    if (reason != nullptr && !options.skip_conf_change_validation) {
      entries[i] = Entry{};
      refusal = MakeStatus(absl::StatusCode::kAborted, "configuration change refused: {}", reason);
    } else {
      pending_conf_index_ = log.last() + i + 1;
    }
  }
  return refusal;
}

bool RaftCore::Impl::AppendOwn(std::vector<Entry> entries) {
  LogIndex index = log.last();
  for (Entry& entry : entries) {
    entry.term = term;
    entry.index = ++index;
  }
  // The first proposal always fits, however large, and an empty entry always: a leader's first and
  // the one that leaves a joint configuration must never be refused.
  const uint64_t bytes = PayloadBytes(entries);
  if (uncommitted_bytes_ > 0 && bytes > 0 &&
      uncommitted_bytes_ + bytes > options.uncommitted_bytes_max) {
    return false;
  }
  uncommitted_bytes_ += bytes;
  log.Append(std::move(entries));
  if (options.mutation == Mutation::kLeaderCountsItselfAtOnce) {
    FindProgress(id)->Acknowledge(log.last());
    (void)TryCommit();
    return true;
  }
  // To ourselves, released when the entries are durable: only then do they count (thesis 10.2.1).
  Send({.type = MessageType::kAppendResponse, .to = id, .index = log.last()});
  return true;
}

bool RaftCore::Impl::TrySendAppend(NodeId to, bool even_if_empty) {
  Progress& peer = members.progress.at(to);
  if (peer.paused()) return false;
  const LogIndex previous = peer.next() - 1;
  const std::optional<Term> previous_term = log.TermAt(previous);
  if (!previous_term) return TrySendSnapshot(to, peer);

  absl::StatusOr<std::vector<Entry>> entries = std::vector<Entry>();
  // A full window gets empty appends only: they find out what became of the ones in flight.
  if (peer.state() != ProgressState::kReplicate || !peer.inflights().full()) {
    entries = log.From(peer.next(), options.message_bytes_max);
  }
  if (!entries.ok()) return TrySendSnapshot(to, peer);
  if (entries->empty() && !even_if_empty) return false;

  const uint64_t count = entries->size();
  const uint64_t bytes = PayloadBytes(*entries);
  Send({.type = MessageType::kAppend,
        .to = to,
        .log_term = *previous_term,
        .index = previous,
        .commit = log.committed(),
        .entries = *std::move(entries)});
  peer.SentEntries(count, bytes);
  peer.SentCommit(log.committed());
  return true;
}

bool RaftCore::Impl::TrySendSnapshot(NodeId to, Progress& peer) {
  // Nobody may be there to receive it; the answer to a heartbeat brings us here again.
  if (!peer.recent_active()) return false;
  absl::StatusOr<Snapshot> snapshot = log.LatestSnapshot();
  if (!snapshot.ok() && snapshot.status().code() == absl::StatusCode::kUnavailable) return false;
  HOLDFAST_CHECK(snapshot.ok()) << "no snapshot: " << holdfast::Message(snapshot.status());
  HOLDFAST_CHECK(!snapshot->empty() && snapshot->index + 1 >= log.first())
      << "snapshot at " << snapshot->index << " does not reach the log, which begins at "
      << log.first();
  peer.BecomeSnapshot(snapshot->index);
  Send({.type = MessageType::kSnapshot,
        .to = to,
        .snapshot = std::make_shared<const Snapshot>(*std::move(snapshot))});
  return true;
}

void RaftCore::Impl::BroadcastAppend() {
  for (const auto& [node, progress] : members.progress) {
    if (node != id) SendAppend(node);
  }
}

void RaftCore::Impl::SendHeartbeat(NodeId to, const std::string& context) {
  Progress& peer = members.progress.at(to);
  // Never more than what the peer is known to share: beyond it its log may differ from ours.
  const LogIndex commit = std::min(peer.match(), log.committed());
  Send({.type = MessageType::kHeartbeat, .to = to, .commit = commit, .context = context});
  peer.SentCommit(commit);
}

void RaftCore::Impl::BroadcastHeartbeat() {
  const std::string context = reads_.HeartbeatContext();
  for (const auto& [node, progress] : members.progress) {
    if (node != id) SendHeartbeat(node, context);
  }
}

bool RaftCore::Impl::TryCommit() {
  if (options.mutation == Mutation::kJointNeedsIncomingOnly) {
    Membership half = members;
    half.config.voters.outgoing.clear();
    return log.TryCommit({half.Committed(), term});
  }
  const LogIndex reached = members.Committed();
  if (options.mutation == Mutation::kCommitEarlierTermByCounting) {
    return log.TryCommit({reached, log.TermAt(reached).value_or(0)});
  }
  // By counting only what this term appended; what lies below comes along (thesis 3.6.2).
  return log.TryCommit({reached, term});
}

bool RaftCore::Impl::CommittedInOwnTerm() const {
  return log.TermAt(log.committed()) == std::optional<Term>(term);
}

void RaftCore::Impl::HandleAppend(Message message) {
  if (message.index < log.committed()) {
    // An old message: what is committed matches the leader's log anyway.
    Send({.type = MessageType::kAppendResponse, .to = message.from, .index = log.committed()});
    return;
  }
  const EntryId previous{message.index, message.log_term};
  if (std::optional<LogIndex> matched = log.TryAppend(previous, std::move(message.entries))) {
    log.CommitTo(std::min(message.commit, *matched));
    Send({.type = MessageType::kAppendResponse, .to = message.from, .index = *matched});
    return;
  }
  // Refused, with a hint: the last of our entries that the leader could have too, which skips our
  // whole tail of terms above the one it told (thesis 3.5, last part).
  const EntryId hint = log.FindAgreement(std::min(message.index, log.last()), message.log_term);
  Send({.type = MessageType::kAppendResponse,
        .to = message.from,
        .log_term = hint.term,
        .index = message.index,
        .reject = true,
        .reject_hint = hint.index});
}

void RaftCore::Impl::HandleHeartbeat(const Message& message) {
  log.CommitTo(message.commit);
  Send({.type = MessageType::kHeartbeatResponse, .to = message.from, .context = message.context});
}

void RaftCore::Impl::HandleAppendResponse(Progress& peer, const Message& message) {
  peer.set_recent_active(true);
  // Nobody can have more than we sent; such an answer is of another log.
  if (message.index > log.last()) {
    Drop();
    return;
  }
  if (message.reject) {
    HandleRefusal(peer, message);
  } else {
    HandleAcceptance(peer, message);
  }
}

void RaftCore::Impl::HandleRefusal(Progress& peer, const Message& message) {
  LogIndex probe = message.reject_hint;
  if (message.log_term > 0) {
    // The follower has `log_term` at the hint. Our entries of higher terms can't match anything
    // there, since terms only rise along a log: skip them. Both sides skipping, a probe is needed
    // at most once per term.
    probe = log.FindAgreement(message.reject_hint, message.log_term).index;
  }
  if (!peer.StepBack(message.index, probe)) return;
  if (peer.state() == ProgressState::kReplicate) peer.BecomeProbe();
  SendAppend(message.from);
}

void RaftCore::Impl::HandleAcceptance(Progress& peer, const Message& message) {
  const bool news = peer.Acknowledge(message.index);
  // Without news it may still show that a probed peer (after ReportUnreachable, say) is there.
  if (!news && !(peer.match() == message.index && peer.state() == ProgressState::kProbe)) return;
  switch (peer.state()) {
    case ProgressState::kProbe:
      peer.BecomeReplicate();
      break;
    case ProgressState::kSnapshot:
      // Whichever snapshot it was that arrived: the log can take over from there.
      if (peer.match() + 1 >= log.first()) {
        peer.BecomeProbe();
        peer.BecomeReplicate();
      }
      break;
    case ProgressState::kReplicate:
      peer.FreeInflightTo(message.index);
      break;
  }
  if (TryCommit()) {
    ReleaseEarlyReads();
    BroadcastAppend();
  } else if (message.from != id && peer.CanRaiseCommit(log.committed())) {
    SendAppend(message.from);
  }
  if (message.from != id) {
    // Room in the window may let several appends go; each sends at least one entry.
    while (TrySendAppend(message.from, /*even_if_empty=*/false)) {
    }
  }
  if (message.from == transfer_target_ && peer.match() == log.last()) {
    Send({.type = MessageType::kTimeoutNow, .to = message.from});
  }
}

void RaftCore::Impl::HandleHeartbeatResponse(Progress& peer, const Message& message) {
  peer.set_recent_active(true);
  peer.ResumeFlow();
  // A probed peer that has everything gets an empty append, so that its answer ends the probing.
  if (peer.match() < log.last() || peer.state() == ProgressState::kProbe) SendAppend(message.from);
  ConfirmReads(message);
}

void RaftCore::Impl::ReportUnreachable(NodeId node) {
  Progress* peer = leading() ? FindProgress(node) : nullptr;
  // Whatever was in flight is probably lost.
  if (peer != nullptr && peer->state() == ProgressState::kReplicate) peer->BecomeProbe();
}

void RaftCore::Impl::ReportSnapshot(NodeId node, bool arrived) {
  Progress* peer = leading() ? FindProgress(node) : nullptr;
  if (peer == nullptr || peer->state() != ProgressState::kSnapshot) return;
  if (!arrived) peer->ForgetSnapshot();
  peer->BecomeProbe();
  // Arrived: the peer's own answer comes next. Failed: wait for a heartbeat before trying again.
  peer->PauseFlow();
}

}  // namespace holdfast::raft
