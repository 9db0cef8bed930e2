#include "raft/core/raft_core.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "raft/core/core_impl.h"

namespace holdfast::raft {
namespace {

absl::Status NotLeader() {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, "not the leader");
}

// What a well-behaved leader sends: entries without gaps behind `index`, terms that never fall and
// never pass the leader's.
bool WellFormedAppend(const Message& message) {
  LogIndex index = message.index;
  Term term = message.log_term;
  for (const Entry& entry : message.entries) {
    if (entry.index != ++index || entry.term < term || entry.term > message.term) return false;
    term = entry.term;
  }
  return true;
}

bool CarriesTerm(MessageType type) {
  return type != MessageType::kPropose && type != MessageType::kReadIndex;
}

}  // namespace

absl::Status ValidateOptions(const RaftOptions& options) {
  auto refuse = [](const char* why) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "raft options: {}", why);
  };
  if (options.id == kNoNode) return refuse("id is 0");
  if (options.id == kAppendWorker || options.id == kApplyWorker) return refuse("id is reserved");
  if (options.heartbeat_ticks <= 0) return refuse("heartbeat_ticks must be greater than 0");
  if (options.election_ticks <= options.heartbeat_ticks) {
    return refuse("election_ticks must be greater than heartbeat_ticks");
  }
  if (options.inflight_messages_max == 0) return refuse("inflight_messages_max is 0");
  if (options.inflight_bytes_max < options.message_bytes_max) {
    return refuse("inflight_bytes_max must be at least message_bytes_max");
  }
  if (options.uncommitted_bytes_max == 0 || options.applying_bytes_max == 0) {
    return refuse("byte limits must be greater than 0");
  }
  if (options.read_mode == ReadMode::kLease && !options.check_quorum) {
    return refuse("read_mode kLease needs check_quorum");
  }
  return absl::OkStatus();
}

RaftCore::Impl::Impl(const RaftOptions& options_in, const LogView& view)
    : options(options_in),
      id(options_in.id),
      log(view, options_in.applying_bytes_max),
      jitter_state_(options_in.seed ^ (options_in.id.value() * 0x9E3779B97F4A7C15ull)) {
  const absl::Status valid = ValidateOptions(options);
  HOLDFAST_CHECK(valid.ok()) << holdfast::Message(valid);
  const LogView::Initial initial = view.InitialState();
  absl::StatusOr<Membership> restored =
      MembershipChanger(log.last(), inflight_limits()).Restore(initial.conf_state);
  HOLDFAST_CHECK(restored.ok()) << "the stored configuration of node " << id
                                << " is wrong: " << holdfast::Message(restored.status());
  members = *std::move(restored);
  if (!initial.hard_state.empty()) {
    term = initial.hard_state.term;
    vote = initial.hard_state.vote;
    log.LoadCommitted(std::max(initial.hard_state.commit, log.committed()));
  }
  if (options.applied > log.applied()) log.LoadApplied(options.applied);
  handed_out_to_ = log.last();
  configured_to_ = log.applied();
  BecomeFollower(term, kNoNode);
  told_soft_state_ = soft_state();
  told_hard_state_ = hard_state();
  CheckInvariants();
}

Progress* RaftCore::Impl::FindProgress(NodeId node) {
  auto found = members.progress.find(node);
  return found == members.progress.end() ? nullptr : &found->second;
}

void RaftCore::Impl::Send(Message message) {
  const MessageType type = message.type;
  if (message.from == kNoNode) message.from = id;
  const bool of_election = type == MessageType::kVote || type == MessageType::kVoteResponse ||
                           type == MessageType::kPreVote || type == MessageType::kPreVoteResponse;
  if (of_election) {
    // Pre-votes speak of a term that nobody has entered yet.
    HOLDFAST_CHECK(message.term != 0) << "an election message without its term";
  } else if (CarriesTerm(type)) {
    message.term = term;
  }
  // A vote or an acknowledgement is a promise to remember (thesis 3.8): it waits until everything
  // that is unstable now is durable. Refusals wait too; they may rest on unstable state as well.
  const bool promise = type == MessageType::kAppendResponse || type == MessageType::kVoteResponse ||
                       type == MessageType::kPreVoteResponse;
  if (promise && !(options.mutation == Mutation::kAcknowledgeBeforeDurable && message.to != id)) {
    send_when_stored_.push_back(std::move(message));
    return;
  }
  HOLDFAST_CHECK(message.to != id) << "a message to ourselves";
  send_now_.push_back(std::move(message));
}

absl::Status RaftCore::Impl::StepFromPeer(Message message) {
  auto refuse = [this](absl::StatusCode code, const char* why) {
    Drop();
    return MakeStatus(code, "message refused: {}", why);
  };
  if (IsLocalMessage(message.type) || static_cast<uint8_t>(message.type) > kMessageTypeMax) {
    return refuse(absl::StatusCode::kInvalidArgument, "a type that peers may not send");
  }
  if (message.from == kNoNode || message.from == kAppendWorker || message.from == kApplyWorker ||
      (message.from == id && message.type != MessageType::kTransferLeader)) {
    return refuse(absl::StatusCode::kInvalidArgument, "an impossible sender");
  }
  if (CarriesTerm(message.type) != (message.term != 0)) {
    return refuse(absl::StatusCode::kInvalidArgument, "its term");
  }
  if (IsResponseMessage(message.type) && FindProgress(message.from) == nullptr) {
    return refuse(absl::StatusCode::kNotFound, "an answer from outside the configuration");
  }
  if (message.type == MessageType::kAppend && !WellFormedAppend(message)) {
    return refuse(absl::StatusCode::kInvalidArgument, "entries that do not follow each other");
  }
  if (message.type == MessageType::kSnapshot &&
      (message.snapshot == nullptr || message.snapshot->term > message.term)) {
    return refuse(absl::StatusCode::kInvalidArgument, "no snapshot in it, or one of the future");
  }
  return Step(std::move(message));
}

bool RaftCore::Impl::HeedTerm(const Message& message) {
  const MessageType type = message.type;
  if (message.term == 0 || message.term == term) return true;
  if (message.term > term) {
    const bool asks_vote = type == MessageType::kVote || type == MessageType::kPreVote;
    if (asks_vote && message.context != kTransferContext && options.check_quorum &&
        leader != kNoNode && election_elapsed_ < options.election_ticks) {
      return false;  // We hear a leader: the lease holds, whoever asks (thesis 4.2.3).
    }
    // A pre-vote asks about a term that may never come; a granted one echoes it. Neither moves us.
    if (type == MessageType::kPreVote) return true;
    if (type == MessageType::kPreVoteResponse && !message.reject) return true;
    const bool from_leader = type == MessageType::kAppend || type == MessageType::kHeartbeat ||
                             type == MessageType::kSnapshot;
    BecomeFollower(message.term, from_leader ? message.from : kNoNode);
    return true;
  }
  if ((options.check_quorum || options.pre_vote) &&
      (type == MessageType::kHeartbeat || type == MessageType::kAppend)) {
    // Perhaps just late. But perhaps we raised our term alone, and the group's leader can't reach
    // us at its lower one while leases keep us from being elected: our term, told to it, frees us.
    Send({.type = MessageType::kAppendResponse, .to = message.from});
  } else if (type == MessageType::kPreVote) {
    // Silence would deadlock a group in which the longer log has the lower term.
    Send({.type = MessageType::kPreVoteResponse, .to = message.from, .term = term, .reject = true});
  } else if (type == MessageType::kAppendStored) {
    // Entries written under an older term may have been replaced since and their replacement be
    // under way: they don't count as stable (see MakeAppendTask). A snapshot holds committed
    // state, of whatever term.
    if (options.mutation == Mutation::kIgnoreTermOfStoredAppend) return true;
    if (message.snapshot) SnapshotInstalled(*message.snapshot);
  } else {
    Drop();
  }
  return false;
}

absl::Status RaftCore::Impl::Step(Message message) {
  if (!HeedTerm(message)) return absl::OkStatus();
  switch (message.type) {
    case MessageType::kAppendStored:
      HandleStored(message);
      return absl::OkStatus();
    case MessageType::kVote:
    case MessageType::kPreVote:
      AnswerVoteRequest(message);
      return absl::OkStatus();
    default:
      break;
  }
  switch (role) {
    case Role::kFollower:
      return StepFollower(std::move(message));
    case Role::kCandidate:
    case Role::kPreCandidate:
      return StepCandidate(std::move(message));
    case Role::kLeader:
      return StepLeader(std::move(message));
  }
  return absl::OkStatus();
}

void RaftCore::Impl::FollowLeader(Message message) {
  election_elapsed_ = 0;
  leader = message.from;
  switch (message.type) {
    case MessageType::kAppend:
      HandleAppend(std::move(message));
      break;
    case MessageType::kHeartbeat:
      HandleHeartbeat(message);
      break;
    default:
      HandleSnapshot(message);
      break;
  }
}

absl::Status RaftCore::Impl::StepFollower(Message message) {
  switch (message.type) {
    case MessageType::kPropose:
      if (leader == kNoNode || !options.forward_proposals) return NotLeader();
      message.to = leader;
      Send(std::move(message));
      break;
    case MessageType::kAppend:
    case MessageType::kHeartbeat:
    case MessageType::kSnapshot:
      FollowLeader(std::move(message));
      break;
    case MessageType::kTransferLeader:
      if (leader == kNoNode) return NotLeader();
      Send({.type = MessageType::kTransferLeader, .to = leader, .from = message.from});
      break;
    case MessageType::kTimeoutNow:
      // No pre-vote: the leader itself asks, so nobody is disturbed who would not be anyway.
      return StartElection(ElectionKind::kTransfer);
    case MessageType::kReadIndexResponse:
      read_states_.push_back({message.index, std::move(message.context)});
      break;
    default:
      break;
  }
  return absl::OkStatus();
}

absl::Status RaftCore::Impl::StepCandidate(Message message) {
  const MessageType answer =
      role == Role::kPreCandidate ? MessageType::kPreVoteResponse : MessageType::kVoteResponse;
  switch (message.type) {
    case MessageType::kPropose:
      return NotLeader();
    case MessageType::kAppend:
    case MessageType::kHeartbeat:
    case MessageType::kSnapshot:
      BecomeFollower(message.term, message.from);
      FollowLeader(std::move(message));
      break;
    default:
      // Late answers to the pre-vote that preceded this candidacy don't count in it.
      if (message.type == answer) CountVote(message);
      break;
  }
  return absl::OkStatus();
}

absl::Status RaftCore::Impl::StepLeader(Message message) {
  switch (message.type) {
    case MessageType::kPropose:
      return AppendProposal(std::move(message.entries));
    case MessageType::kReadIndex:
      return ReadIndex(message.from, std::move(message.context));
    case MessageType::kTransferLeader:
      return TransferLeadership(message.from);
    default:
      break;
  }
  Progress* peer = FindProgress(message.from);
  if (peer == nullptr) return absl::OkStatus();
  switch (message.type) {
    case MessageType::kAppendResponse:
      HandleAppendResponse(*peer, message);
      break;
    case MessageType::kHeartbeatResponse:
      HandleHeartbeatResponse(*peer, message);
      break;
    default:
      break;
  }
  return absl::OkStatus();
}

absl::StatusOr<ProposedAt> RaftCore::Impl::Propose(std::vector<Entry> entries) {
  if (entries.empty()) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "nothing to propose");
  }
  for (const Entry& entry : entries) {
    if (entry.type != EntryType::kNormal) {
      return MakeStatus(absl::StatusCode::kInvalidArgument,
                        "configuration changes are proposed by ProposeConfChange");
    }
  }
  const uint64_t count = entries.size();
  const bool here = leading();
  HOLDFAST_RETURN_IF_ERROR(
      Step({.type = MessageType::kPropose, .from = id, .entries = std::move(entries)}));
  if (!here) return ProposedAt{0, 0, term};
  return ProposedAt{log.last() - count + 1, log.last(), term};
}

absl::StatusOr<ProposedAt> RaftCore::Impl::ProposeConfChange(const ConfChange& change) {
  if (change.simple_form &&
      (change.steps.size() != 1 || change.transition != ConfChangeTransition::kAuto)) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "the simple form holds one step");
  }
  const bool here = leading();
  HOLDFAST_RETURN_IF_ERROR(
      Step({.type = MessageType::kPropose, .from = id, .entries = {EncodeConfChange(change)}}));
  if (!here) return ProposedAt{0, 0, term};
  return ProposedAt{log.last(), log.last(), term};
}

// --- Readys ---

bool RaftCore::Impl::NeedsAppendTask() const {
  const HardState now = hard_state();
  return log.has_unsent() || log.UnsentSnapshot() || !send_when_stored_.empty() ||
         (!now.empty() && now != told_hard_state_);
}

bool RaftCore::Impl::HasReady() const {
  return soft_state() != told_soft_state_ || !send_now_.empty() || !read_states_.empty() ||
         NeedsAppendTask() || log.HasNextCommitted(options.apply_unstable);
}

std::optional<Message> RaftCore::Impl::StoredAnswer() const {
  const std::shared_ptr<const Snapshot> snapshot = log.UnsentSnapshot();
  if (!log.has_unstable() && !snapshot) return std::nullopt;
  Message answer{.type = MessageType::kAppendStored,
                 .to = id,
                 .from = kAppendWorker,
                 .term = term,
                 .snapshot = snapshot};
  if (log.has_unstable()) {
    // This attests the whole unstable log, not just this task's entries, for the term in which it
    // is handed out. If the term has moved on when the answer returns, entries may have been
    // replaced, and replaced back, with writes of both still under way (etcd-io/raft calls it the
    // ABA race): the answer is then ignored. Every change of term causes a later task whose answer
    // repeats the attestation, so nothing stays unstable for ever.
    const EntryId last = log.LastId();
    answer.index = last.index;
    answer.log_term = last.term;
  }
  return answer;
}

AppendTask RaftCore::Impl::MakeAppendTask() {
  AppendTask task;
  const HardState now = hard_state();
  task.entries = log.Unsent();
  task.snapshot = log.UnsentSnapshot();
  if (!now.empty() && now != told_hard_state_) task.hard_state = now;
  task.must_sync = !task.entries.empty() || task.snapshot || now.term != told_hard_state_.term ||
                   now.vote != told_hard_state_.vote;
  if (task.snapshot) handed_out_to_ = task.snapshot->index;
  if (!task.entries.empty()) {
    const LogIndex from = task.entries.front().index;
    if (from <= handed_out_to_) task.truncate_from = from;
    handed_out_to_ = task.entries.back().index;
  }
  task.responses = std::move(send_when_stored_);
  send_when_stored_.clear();
  // Last, so that a leader counts its own entries while their terms are still in memory.
  if (std::optional<Message> answer = StoredAnswer()) task.responses.push_back(*std::move(answer));
  told_hard_state_ = now;
  return task;
}

Ready RaftCore::Impl::TakeReady() {
  Ready ready;
  if (soft_state() != told_soft_state_) {
    ready.soft_state = soft_state();
    told_soft_state_ = soft_state();
  }
  ready.read_states = std::exchange(read_states_, {});
  ready.send_now = std::exchange(send_now_, {});
  std::vector<Entry> committed = log.NextCommitted(options.apply_unstable);
  if (NeedsAppendTask()) ready.append = MakeAppendTask();
  log.MarkSent();
  if (!committed.empty()) {
    ApplyTask task;
    task.done = {committed.back().index, EncodedBytes(committed), PayloadBytes(committed)};
    log.MarkApplying(task.done.index, task.done.encoded_bytes, options.apply_unstable);
    task.entries = std::move(committed);
    ready.apply = std::move(task);
  }
  return ready;
}

void RaftCore::Impl::HandleStored(const Message& message) {
  if (message.index != 0) log.StableTo({message.index, message.log_term});
  if (message.snapshot) SnapshotInstalled(*message.snapshot);
}

std::vector<Message> RaftCore::Impl::AppendDone(std::vector<Message> responses) {
  std::vector<Message> to_peers;
  for (Message& response : responses) {
    if (response.to == id) {
      (void)Step(std::move(response));  // Our own answers are never refused, at most too late.
    } else {
      to_peers.push_back(std::move(response));
    }
  }
  return to_peers;
}

void RaftCore::Impl::ApplyDone(const ApplyToken& done) {
  AppliedTo(done.index, done.encoded_bytes);
  uncommitted_bytes_ -= std::min(uncommitted_bytes_, done.payload_bytes);
}

CoreStatus RaftCore::Impl::Status() const {
  CoreStatus status;
  status.id = id;
  status.role = role;
  status.leader = leader;
  status.hard_state = hard_state();
  status.applied = log.applied();
  status.applying = log.applying();
  status.first = log.first();
  status.last = log.last();
  status.unstable_from = log.unstable_from();
  status.transferring_to = transfer_target_;
  status.uncommitted_bytes = uncommitted_bytes_;
  status.election_elapsed = election_elapsed_;
  status.randomized_election_ticks = randomized_election_ticks;
  status.conf_state = members.config.ToConfState();
  status.dropped_messages = dropped;
  if (role != Role::kLeader) return status;
  for (const auto& [node, progress] : members.progress) {
    status.progress[node] = {
        .match = progress.match(),
        .next = progress.next(),
        .state = progress.state(),
        .pending_snapshot = progress.pending_snapshot(),
        .recent_active = progress.recent_active(),
        .paused = progress.paused(),
        .learner = progress.learner(),
        .inflight_messages = progress.inflights().messages(),
        .inflight_bytes = progress.inflights().bytes(),
        .inflight_full = progress.inflights().full(),
    };
  }
  return status;
}

// --- RaftCore: each call ends with the invariants ---

RaftCore::RaftCore(const RaftOptions& options, const LogView& log)
    : impl_(std::make_unique<Impl>(options, log)) {}
RaftCore::~RaftCore() = default;

void RaftCore::Tick() {
  impl_->Tick();
  impl_->CheckInvariants();
}

void RaftCore::SetHeartbeatPhase(int ticks) { impl_->SetHeartbeatPhase(ticks); }

absl::Status RaftCore::Step(Message message) {
  absl::Status status = impl_->StepFromPeer(std::move(message));
  impl_->CheckInvariants();
  return status;
}

absl::StatusOr<ProposedAt> RaftCore::Propose(std::vector<Entry> entries) {
  absl::StatusOr<ProposedAt> at = impl_->Propose(std::move(entries));
  impl_->CheckInvariants();
  return at;
}

absl::StatusOr<ProposedAt> RaftCore::ProposeConfChange(const ConfChange& change) {
  absl::StatusOr<ProposedAt> at = impl_->ProposeConfChange(change);
  impl_->CheckInvariants();
  return at;
}

ConfState RaftCore::ApplyConfEntry(const Entry& entry) {
  ConfState state = impl_->ApplyConfEntry(entry);
  impl_->CheckInvariants();
  return state;
}

ConfState RaftCore::ApplyConfChange(const ConfChange& change) {
  ConfState state = impl_->ApplyConfChange(change);
  impl_->CheckInvariants();
  return state;
}

absl::Status RaftCore::ReadIndex(std::string context) {
  absl::Status status = impl_->ReadIndex(impl_->id, std::move(context));
  impl_->CheckInvariants();
  return status;
}

absl::Status RaftCore::TransferLeadership(NodeId target) {
  absl::Status status = impl_->Step({.type = MessageType::kTransferLeader, .from = target});
  impl_->CheckInvariants();
  return status;
}

absl::Status RaftCore::ForgetLeader() {
  absl::Status status = impl_->ForgetLeader();
  impl_->CheckInvariants();
  return status;
}

absl::Status RaftCore::Campaign() {
  absl::Status status = impl_->StartElection(impl_->options.pre_vote ? ElectionKind::kPreVote
                                                                     : ElectionKind::kElection);
  impl_->CheckInvariants();
  return status;
}

absl::Status RaftCore::RenewTerm() {
  absl::Status status = impl_->RenewTerm();
  impl_->CheckInvariants();
  return status;
}

absl::Status RaftCore::Resign() {
  absl::Status status = impl_->Resign();
  impl_->CheckInvariants();
  return status;
}

void RaftCore::ReportUnreachable(NodeId peer) { impl_->ReportUnreachable(peer); }

void RaftCore::ReportSnapshot(NodeId peer, bool arrived) {
  impl_->ReportSnapshot(peer, arrived);
  impl_->CheckInvariants();
}

void RaftCore::set_may_campaign(bool may) { impl_->may_campaign = may; }
bool RaftCore::may_campaign() const { return impl_->may_campaign; }

bool RaftCore::HasReady() const { return impl_->HasReady(); }

Ready RaftCore::TakeReady() {
  Ready ready = impl_->TakeReady();
  impl_->CheckInvariants();
  return ready;
}

std::vector<Message> RaftCore::AppendDone(std::vector<Message> responses) {
  std::vector<Message> to_peers = impl_->AppendDone(std::move(responses));
  impl_->CheckInvariants();
  return to_peers;
}

void RaftCore::ApplyDone(const ApplyToken& done) {
  impl_->ApplyDone(done);
  impl_->CheckInvariants();
}

NodeId RaftCore::id() const { return impl_->id; }
Role RaftCore::role() const { return impl_->role; }
NodeId RaftCore::leader() const { return impl_->leader; }
Term RaftCore::term() const { return impl_->term; }
LogIndex RaftCore::commit() const { return impl_->log.committed(); }
CoreStatus RaftCore::Status() const { return impl_->Status(); }

void RaftCore::SetElectionTicksForTest(int ticks) { impl_->randomized_election_ticks = ticks; }

}  // namespace holdfast::raft
