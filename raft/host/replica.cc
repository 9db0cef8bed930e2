#include "raft/host/replica.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "raft/core/confchange.h"

namespace holdfast::raft {
namespace {

RaftOptions CoreOptions(const GroupHostOptions& options, uint64_t seed, const GroupRecord& record) {
  RaftOptions out;
  out.id = options.self;
  out.election_ticks = options.election_ticks;
  out.heartbeat_ticks = options.heartbeat_ticks;
  out.seed = seed;
  out.applied = record.applied;
  if (options.mutation == HostMutation::kApplyTwiceAfterRestart &&
      record.applied > record.truncated) {
    --out.applied;
  }
  // Proposals are bounded before they reach the core; its own bound only has to be wider.
  out.uncommitted_bytes_max = 2 * options.group_undecided_bytes_max;
  // Counts bodies, which apply does not touch; the job's own bounds are the ones that matter.
  out.applying_bytes_max = std::max(out.applying_bytes_max, options.group_undecided_bytes_max);
  return out;
}

bool IsConfChange(const Entry& entry) { return entry.type != EntryType::kNormal; }

bool OnlyVoter(const ConfState& conf, NodeId self) {
  return conf.voters == std::vector<NodeId>{self} && conf.voters_outgoing.empty();
}

// How long a leader that made way leaves the field to others, if none of them leads before: a few
// of their elections may fail. Longer is of no use: if they can't do without this node, nobody else
// can lead, and who has the body may have come back. By default longer than the mender's pause.
constexpr int kStandBackElections = 6;

// After a renewal that was refused: soon enough, and seldom enough to read the log for it.
constexpr int kRenewAgainTicks = 10;

}  // namespace

void AnswerOnce(Answer& answer, absl::Status status, LogIndex index, Term term) {
  answer.group_bytes.Release();
  answer.total_bytes.Release();
  answer.total_count.Release();
  if (!answer.done) return;  // Its deadline passed.
  ProposeCallback done = std::move(answer.done);
  answer.done = nullptr;
  done(ProposeResult{std::move(status), index, term});
}

Replica::Replica(const GroupHostOptions& options, uint64_t seed, std::unique_ptr<GroupLog> log,
                 raft::Store& store, StateMachine& machine, ReplicaEffects& effects)
    : options_(options),
      group_(log->opened().group),
      store_(store),
      machine_(machine),
      effects_(effects),
      log_(std::move(log)),
      core_(CoreOptions(options, seed, log_->opened()), *log_),
      undecided_bytes_(options.group_undecided_bytes_max),
      conf_state_(log_->opened().conf_state),
      single_voter_(OnlyVoter(log_->opened().conf_state, options.self)),
      applied_(log_->opened().applied),
      core_applied_(applied_),
      applied_term_(log_->TermAt(applied_).value_or(0)),
      reads_(options.reads_max) {
  const GroupRecord& opened = log_->opened();
  if (options.greetings) {
    ungreeted_.insert(conf_state_.voters.begin(), conf_state_.voters.end());
    ungreeted_.insert(conf_state_.voters_outgoing.begin(), conf_state_.voters_outgoing.end());
    ungreeted_.erase(options.self);
    ungreeted_ticks_ = options.election_ticks;
  }
  newborn_ = opened.hard_state.empty() && opened.last == 0;
  if (options.mutation == HostMutation::kHearVotesAfterRestart) return;
  if (!single_voter_ && !newborn_) votes_withheld_ticks_ = options.election_ticks;
}

void Replica::Start() {
  // With nobody to compete against there is nothing to wait for.
  if (single_voter_) (void)core_.Campaign();  // Refused while a configuration waits to be applied.
  PayDebts();
}

void Replica::Propose(std::vector<Offer> offers, absl::Duration deadline) {
  std::vector<Entry> entries;
  entries.reserve(offers.size());
  for (Offer& offer : offers) entries.push_back(std::move(offer.entry));
  absl::StatusOr<ProposedAt> at = core_.Propose(std::move(entries));
  if (!at.ok()) {
    for (Offer& offer : offers) AnswerOnce(offer.answer, at.status(), 0, 0);
    return;
  }
  HOLDFAST_CHECK(at->last - at->first + 1 == offers.size()) << "entries without a place";
  for (size_t i = 0; i < offers.size(); ++i) {
    undecided_.Add(at->first + i, at->term, deadline, std::move(offers[i].answer));
  }
  PayDebts();
}

void Replica::ProposeConfChange(const ConfChange& change, Answer answer, absl::Duration deadline) {
  absl::StatusOr<ProposedAt> at = core_.ProposeConfChange(change);
  if (at.ok()) {
    undecided_.Add(at->first, at->term, deadline, std::move(answer));
  } else {
    AnswerOnce(answer, at.status(), 0, 0);
  }
  PayDebts();  // Also of the empty entry that took the place of a change that does not fit.
}

bool Replica::Tick(absl::Duration now, int heartbeat_phase) {
  now_ = now;
  if (votes_withheld_ticks_ > 0) --votes_withheld_ticks_;
  if (stands_back_ticks_ > 0) StandBack(stands_back_ticks_ - 1);
  if (ungreeted_ticks_ > 0) --ungreeted_ticks_;
  const bool handing_over = HandedOver();
  if (handed_over_ticks_ > 0) --handed_over_ticks_;
  const Role role = core_.role();
  const NodeId leader = core_.leader();
  const size_t undecided = undecided_.size();
  if ((role != Role::kLeader && !Renewing()) || (single_voter_ && conf_state_.learners.empty())) {
    silent_ticks_.clear();
    offered_since_.clear();
  } else if (role == Role::kLeader) {
    const CoreStatus status = core_.Status();  // Copies maps: once is enough.
    CountSilence(status);
    WatchSnapshots(status, now);
  }
  core_.SetHeartbeatPhase(heartbeat_phase);
  core_.Tick();
  // Refused while the next try to hand over lasts, or a configuration waits to be applied: to find
  // that out may take reading the log.
  if (HandedOver() && handed_over_ticks_ == 0 && !core_.RenewTerm().ok()) {
    handed_over_ticks_ = kRenewAgainTicks;
  }
  reads_.Expire(now, MakeStatus(absl::StatusCode::kDeadlineExceeded,
                                "group {}: no majority confirmed in time that this node leads",
                                group_.value()));
  undecided_.Expire(now, [&](Undecided<Answer>::Pending& pending) {
    ProposeCallback done = std::move(pending.answer.done);
    pending.answer.done = nullptr;
    done(ProposeResult{
        MakeStatus(absl::StatusCode::kDeadlineExceeded,
                   "group {}: not committed in time; the outcome is unknown", group_.value()),
        0, pending.term});
  });
  // Also the way out for a lone voter whose first campaign was refused.
  if (single_voter_ && core_.role() == Role::kFollower) (void)core_.Campaign();
  PayDebts();
  if (pulled_ && !installing_) {
    if (--pulled_ticks_left_ > 0) {
      TryInstall();
    } else {
      DropPulled();
    }
  }
  return core_.role() != role || core_.leader() != leader || undecided_.size() != undecided ||
         handing_over;
}

bool Replica::Withheld(const Message& message) const {
  if (votes_withheld_ticks_ == 0) return false;
  if (message.type != MessageType::kVote && message.type != MessageType::kPreVote) return false;
  return message.context != kTransferContext;
}

void Replica::Receive(Message message) {
  if (AwaitsGreetings() || Withheld(message) || RefuseAppendUnborn(message) ||
      HeedUnborn(message) || ReceiveSnapshotOffer(message)) {
    return;
  }
  const bool arrived = message.type == MessageType::kAppendResponse && !message.reject;
  const NodeId from = message.from;
  (void)core_.Step(std::move(message));  // The core counts what it drops.
  if (arrived && offered_since_.contains(from)) OfferAgain(from);
  PayDebts();
}

void Replica::PeerUnreachable(NodeId peer) {
  core_.ReportUnreachable(peer);
  // What was lost may be the word that there is a snapshot.
  const auto offered = offered_since_.find(peer);
  if (offered != offered_since_.end() && effects_.LastAsked(peer, group_) < offered->second) {
    core_.ReportSnapshot(peer, /*arrived=*/false);
    offered_since_.erase(offered);
  }
  PayDebts();
}

absl::Status Replica::TransferLeadership(NodeId target) {
  absl::Status status = core_.TransferLeadership(target);
  PayDebts();
  return status;
}

void Replica::StandBack(int ticks) {
  stands_back_ticks_ = ticks;
  core_.set_may_campaign(may_campaign_ && ticks == 0);
}

void Replica::BodyLost(const BodyKey& key, const absl::Status& why) {
  if (core_.role() != Role::kLeader || single_voter_ || key.index <= core_.commit()) return;
  if (log_->TermAt(key.index) != std::optional<Term>(key.term)) return;
  Log(LogLevel::kWarn, "resigns",
      {{"group", group_.value()},
       {"term", core_.term()},
       {"index", key.index},
       {"reason", holdfast::Message(why)},
       {"advice", "look at this node's disk; if it repeats, bring back the nodes that are away"}});
  (void)core_.Resign();
  handed_over_term_ = 0;  // It can't lead that term again.
  votes_withheld_ticks_ = std::max(votes_withheld_ticks_, options_.election_ticks);
  StandBack(kStandBackElections * options_.election_ticks);
  PayDebts();
}

void Replica::Read(AskedRead read, absl::Duration now) {
  if (core_.role() != Role::kLeader) {
    read.done(MakeStatus(absl::StatusCode::kFailedPrecondition, "group {}: not the leader",
                         group_.value()));
    return;
  }
  std::optional<std::string> mark = reads_.Ask(std::move(read), now, now + options_.commit_timeout);
  if (!mark) return;
  if (absl::Status asked = core_.ReadIndex(*mark); !asked.ok()) reads_.Fail(*mark, asked);
  PayDebts();
}

void Replica::Send(Message message) {
  if (newborn_ && message.type == MessageType::kHeartbeatResponse) return;
  // The node asked needs no lease to run out, and its election may take as long as any.
  if (message.type == MessageType::kSnapshot) offered_since_[message.to] = now_;
  if (message.type == MessageType::kTimeoutNow) {
    handed_over_term_ = message.term;
    handed_over_ticks_ = 2 * options_.election_ticks;
  }
  effects_.Send(group_, std::move(message));
}

void Replica::PayDebts() {
  while (core_.HasReady()) {
    Ready ready = core_.TakeReady();
    for (Message& message : ready.send_now) Send(std::move(message));
    for (const ReadState& read : ready.read_states) reads_.Confirm(read.context, read.index);
    if (ready.append) StartWrite(*std::move(ready.append));
    if (!ready.apply) continue;
    for (Entry& entry : ready.apply->entries) {
      to_apply_.push_back(ToApply{std::move(entry), std::nullopt});
    }
    if (!ready.apply->entries.empty()) to_apply_.back().done = ready.apply->done;
  }
  FollowLeadership();
  StartApply();
  reads_.Answer(options_.mutation == HostMutation::kReadBeforeApplied ? core_.commit() : applied_);
}

void Replica::StartWrite(AppendTask task) {
  StorageTask out;
  if (task.snapshot) out.write.install = InstallOf(*task.snapshot);
  out.write.group = group_;
  out.write.hard_state = task.hard_state;
  out.write.entries = std::move(task.entries);
  out.write.must_sync = task.must_sync && options_.mutation != HostMutation::kAcknowledgeBeforeSync;
  out.responses = std::move(task.responses);
  Enqueue(std::move(out));
}

void Replica::Enqueue(StorageTask task) {
  ++writes_out_;
  if (!held_.empty() || (task.write.install && applying_)) {
    held_.push_back(std::move(task));
  } else {
    effects_.Store(std::move(task));
  }
}

void Replica::Stored(StorageTask task) {
  --writes_out_;
  if (task.write.install) Installed(*task.write.install);
  if (task.write.hard_state) newborn_ = false;
  // A leader's followers will want the bytes soon; a follower's log is seldom asked for.
  log_->Stored(std::move(task.write.entries),
               /*keep_bodies=*/!single_voter_ && core_.role() == Role::kLeader);
  for (Message& message : core_.AppendDone(std::move(task.responses))) Send(std::move(message));
  if (task.write.install) {
    for (const ApplyToken& done : std::exchange(dropped_, {})) core_.ApplyDone(done);
  }
  PayDebts();
}

// A leader's own first entry of its term stands before all others of that term, so its machine is
// up to date as soon as any entry of the term is applied.
void Replica::FollowLeadership() {
  const bool leads = core_.role() == Role::kLeader;
  const Term term = core_.term();
  if (stands_back_ticks_ > 0 && core_.leader() != kNoNode) StandBack(0);
  if (announced_term_ != 0 && (!leads || term != announced_term_)) {
    effects_.TellLeader(group_, false, announced_term_);
    announced_term_ = 0;
  }
  if (!leads || term != reads_term_) {
    reads_.FailAll(MakeStatus(absl::StatusCode::kFailedPrecondition,
                              "group {}: leadership was lost", group_.value()));
    reads_term_ = term;
    if (options_.mutation == HostMutation::kAbortWhenLeadershipIsLost) {
      AnswerAll(MakeStatus(absl::StatusCode::kAborted, "leadership was lost"));
    }
  }
  const bool early = options_.mutation == HostMutation::kLeadBeforeOwnEntryApplied;
  if (leads && announced_term_ == 0 && (applied_term_ == term || early)) {
    announced_term_ = term;
    effects_.TellLeader(group_, true, term);
  }
}

void Replica::StartApply() {
  if (applying_ || installing_ || to_apply_.empty()) return;
  auto job = std::make_shared<ApplyJob>();
  uint64_t bytes = 0;
  while (!to_apply_.empty() && job->entries.size() < options_.apply_batch_entries_max) {
    ToApply& next = to_apply_.front();
    const bool is_change = IsConfChange(next.entry);
    bytes += next.entry.command.size();
    if (!job->entries.empty() && (is_change || bytes > options_.apply_batch_bytes_max)) break;
    job->answers.push_back(undecided_.Decide(next.entry.index, next.entry.term, job->aborted));
    if (next.done) job->done.push_back(*next.done);
    job->entries.push_back(std::move(next.entry));
    to_apply_.pop_front();
    if (is_change) break;
  }
  const Entry& newest = job->entries.back();
  job->last = newest.index;
  if (IsConfChange(newest)) {
    absl::StatusOr<ConfChange> change = DecodeConfChange(newest);
    if (!change.ok()) {
      DieOfEnvironment(holdfast::format("group {}: configuration in entry {}: {}", group_.value(),
                                        newest.index, holdfast::Message(change.status()))
                           .c_str());
    }
    MutateChange(*change);
    job->conf_state = core_.ApplyConfChange(*change);
    if (options_.mutation == HostMutation::kLeaveJointAtOnce &&
        !job->conf_state->voters_outgoing.empty()) {
      job->conf_state = core_.ApplyConfChange(ConfChange{});
    }
    single_voter_ = OnlyVoter(*job->conf_state, options_.self);
    conf_state_ = *job->conf_state;
  }
  job->doomed.swap(doomed_);
  applying_ = true;
  effects_.Apply(group_, std::move(job));
}

void Replica::MutateChange(ConfChange& change) const {
  if (options_.mutation != HostMutation::kLearnerVotes) return;
  for (ConfChangeStep& step : change.steps) {
    if (step.type == ConfChangeType::kAddLearner) step.type = ConfChangeType::kAddVoter;
  }
}

bool Replica::RunApplyJob(ApplyJob& job) {
  std::unique_ptr<StateBatch> batch = store_.NewStateBatch(group_);
  std::vector<absl::Status> verdicts(job.entries.size());
  CommittedEntry committed;
  for (size_t i = 0; i < job.entries.size(); ++i) {
    const Entry& entry = job.entries[i];
    if (IsConfChange(entry) || entry.command.empty()) continue;
    committed.index = entry.index;
    committed.term = entry.term;
    committed.command = entry.command;
    committed.bodies.clear();
    for (uint32_t ordinal = 0; ordinal < entry.bodies.size(); ++ordinal) {
      const Payload& body = entry.bodies[ordinal];
      committed.bodies.push_back(
          BodyRef{BodyKey{group_, entry.index, entry.term, ordinal}, body.size, body.crc32c});
    }
    verdicts[i] = machine_.Apply(committed, *batch);
    if (options_.mutation == HostMutation::kAnswerBeforeCommit && job.answers[i]) {
      AnswerOnce(job.answers[i]->answer, verdicts[i], entry.index, entry.term);
    }
  }
  for (const BodyKey& key : job.doomed) batch->DeleteBody(key);
  AppliedMark mark{job.last, job.entries.back().term, job.conf_state};
  if (options_.mutation == HostMutation::kForgetMembersApplied) mark.conf_state.reset();
  const absl::Status written = store_.CommitState(std::move(batch), mark);
  if (written.ok()) machine_.OnCommitted(job.last);
  for (size_t i = 0; i < job.entries.size(); ++i) {
    if (!job.answers[i]) continue;
    const Entry& entry = job.entries[i];
    if (written.ok()) {
      AnswerOnce(job.answers[i]->answer, std::move(verdicts[i]), entry.index, entry.term);
    } else {
      // Committed, so some day it is applied; but nobody may be told so by a failed store.
      AnswerOnce(job.answers[i]->answer,
                 MakeStatus(absl::StatusCode::kDeadlineExceeded,
                            "group {}: the store failed before the outcome was known: {}",
                            group_.value(), holdfast::Message(written)),
                 0, entry.term);
    }
  }
  for (Undecided<Answer>::Pending& pending : job.aborted) {
    AnswerOnce(pending.answer,
               MakeStatus(absl::StatusCode::kAborted,
                          "group {}: another leader's entry took its place", group_.value()),
               0, pending.term);
  }
  return written.ok();
}

void Replica::JobDone(ApplyJob& job) {
  applying_ = false;
  applied_ = job.last;
  applied_term_ = job.entries.back().term;
  log_->Applied(applied_, job.conf_state);
  for (const ApplyToken& done : job.done) {
    core_.ApplyDone(done);
    core_applied_ = done.index;
  }
  ReleaseHeld();
  PayDebts();
  TruncateLog();
}

void Replica::TruncateLog() {
  if (installing_) return;
  // Whoever pulls a snapshot will want the entries behind it.
  const uint64_t times = offered_since_.empty() ? 1 : options_.snapshots.log_kept_times;
  std::optional<LogIndex> before = log_->TruncationDue(
      core_applied_, times * options_.log_entries_kept, times * options_.log_bytes_kept);
  if (before) TruncateBefore(*before);
}

void Replica::TruncateBefore(LogIndex before) {
  StorageTask task;
  task.write.group = group_;
  task.write.truncate_before = before;
  task.write.must_sync = false;  // Nothing rests on it: at worst the headers are still there.
  if (options_.mutation == HostMutation::kTruncateBodies) DoomBodies(before);
  log_->Truncated(before);
  Enqueue(std::move(task));
}

void Replica::DoomBodies(LogIndex before) {
  const absl::StatusOr<std::vector<Entry>> entries =
      store_.ReadEntries(group_, log_->FirstIndex(), before, UINT64_MAX);
  if (!entries.ok()) return;
  for (const Entry& entry : *entries) {
    for (uint32_t ordinal = 0; ordinal < entry.bodies.size(); ++ordinal) {
      doomed_.push_back({group_, entry.index, entry.term, ordinal});
    }
  }
}

void Replica::AnswerAll(const absl::Status& status) {
  for (Undecided<Answer>::Pending& pending : undecided_.TakeAll()) {
    AnswerOnce(pending.answer, status, 0, pending.term);
  }
  reads_.FailAll(status);
}

void Replica::CountSilence(const CoreStatus& leader) {
  for (const auto& [node, progress] : leader.progress) {
    int& silent = silent_ticks_.try_emplace(node, options_.election_ticks).first->second;
    silent = progress.recent_active ? 0 : std::min(silent + 1, options_.election_ticks);
  }
}

void Replica::FillMembers(GroupStatus& status) const {
  const CoreStatus core = core_.Status();
  status.handing_over |= core.transferring_to != kNoNode;
  for (const auto& [node, progress] : core.progress) {
    const auto silent = silent_ticks_.find(node);
    const bool active = node == core.id || progress.recent_active ||
                        (silent != silent_ticks_.end() && silent->second < options_.election_ticks);
    status.members[node] = {progress.match, active, progress.learner};
  }
}

GroupStatus Replica::Status() const {
  GroupStatus status;
  status.group = group_;
  status.role = core_.role();
  status.leading = announced_term_ != 0;
  status.leader = core_.leader();
  status.term = core_.term();
  status.handing_over = HandedOver() || Renewing();
  status.voters = conf_state_.voters;
  status.learners = conf_state_.learners;
  status.voters_outgoing = conf_state_.voters_outgoing;
  if (status.role == Role::kLeader) FillMembers(status);
  status.commit = core_.commit();
  status.applied = applied_;
  status.first = log_->FirstIndex();
  status.last = log_->LastIndex();
  status.undecided_proposals = undecided_.size();
  status.undecided_bytes = undecided_bytes_.used_bytes();
  return status;
}

}  // namespace holdfast::raft
