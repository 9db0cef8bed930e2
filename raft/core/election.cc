// Who leads: terms, votes, pre-votes, leases and transfers (thesis chapters 3 and 9.6, section
// 3.10).
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "raft/core/core_impl.h"

namespace holdfast::raft {
namespace {

absl::Status NoElection(const char* why) {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, "no election: {}", why);
}

}  // namespace

void RaftCore::Impl::DrawElectionTimeout() {
  // splitmix64: the core's only luck, and all of it is in the seed.
  uint64_t z = jitter_state_ += 0x9E3779B97F4A7C15ull;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  z ^= z >> 31;
  const auto span = static_cast<uint64_t>(options.election_ticks);
  randomized_election_ticks = options.election_ticks + static_cast<int>(z % span);
}

void RaftCore::Impl::Reset(Term new_term) {
  if (term != new_term) {
    term = new_term;
    vote = kNoNode;
  }
  leader = kNoNode;
  election_elapsed_ = 0;
  heartbeat_elapsed_ = 0;
  DrawElectionTimeout();
  AbortTransfer();
  votes_.clear();
  const LogIndex last = log.last();
  for (auto& [node, progress] : members.progress) {
    progress = Progress(last + 1, progress.learner(), inflight_limits());
    if (node == id) progress.Acknowledge(last);
  }
  pending_conf_index_ = 0;
  uncommitted_bytes_ = 0;
  reads_ = ReadQueue();
  early_reads_.clear();
}

void RaftCore::Impl::BecomeFollower(Term new_term, NodeId new_leader) {
  Reset(new_term);
  leader = new_leader;
  role = Role::kFollower;
  if (leader != kNoNode) renewed_term_ = 0;
}

void RaftCore::Impl::BecomeCandidate() {
  HOLDFAST_CHECK(role != Role::kLeader) << "a leader does not stand for election";
  const bool renews = Renews();
  Reset(term + 1);
  renewed_term_ = renews ? term : 0;
  vote = id;
  role = Role::kCandidate;
}

void RaftCore::Impl::BecomePreCandidate() {
  HOLDFAST_CHECK(role != Role::kLeader) << "a leader does not stand for election";
  // Term, vote and timers stay: a pre-vote that fails must leave no trace.
  votes_.clear();
  leader = kNoNode;
  role = Role::kPreCandidate;
}

void RaftCore::Impl::BecomeLeader() {
  HOLDFAST_CHECK(role == Role::kCandidate) << "leaders are elected";
  Reset(term);
  renewed_term_ = 0;
  leader = id;
  role = Role::kLeader;
  Progress* self = FindProgress(id);
  HOLDFAST_CHECK(self != nullptr) << "elected without being a member";
  self->BecomeReplicate();
  self->set_recent_active(true);
  // There may be configuration changes anywhere in the uncommitted tail; scanning it could take
  // long, so new ones wait until all of it is applied.
  pending_conf_index_ = log.last();
  // An entry of the own term, so that older ones can be committed below it (thesis 3.6.2).
  HOLDFAST_CHECK(AppendOwn({Entry{}})) << "an empty entry is never too large";
}

bool RaftCore::Impl::Promotable() const {
  auto self = members.progress.find(id);
  return self != members.progress.end() && !self->second.learner() && !log.snapshot_pending();
}

absl::Status RaftCore::Impl::MayHoldElection() const {
  if (!Promotable()) return NoElection("not a voter, or a snapshot is being installed");
  // An election counted in an outdated configuration could be won without a quorum of the real one.
  if (options.mutation != Mutation::kCampaignWithPendingConfChange &&
      log.HasUnappliedConfChange()) {
    return NoElection("configuration changes are yet to be applied");
  }
  return absl::OkStatus();
}

absl::Status RaftCore::Impl::StartElection(ElectionKind kind) {
  if (leading()) return absl::OkStatus();
  if (!may_campaign && !Renews()) return NoElection("told not to campaign");
  absl::Status may = MayHoldElection();
  if (may.ok()) HoldElection(kind);
  return may;
}

absl::Status RaftCore::Impl::RenewTerm() {
  if (!leading()) return NoElection("does not lead");
  if (transfer_target_ != kNoNode) return NoElection("another node is to take over");
  absl::Status may = MayHoldElection();
  if (!may.ok()) return may;
  BecomeFollower(term, kNoNode);
  renewed_term_ = term;
  // As if it had asked itself to take over: it is the leader whose lease the voters keep.
  HoldElection(ElectionKind::kTransfer);
  return absl::OkStatus();
}

absl::Status RaftCore::Impl::Resign() {
  if (!leading()) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition, "does not lead");
  }
  BecomeFollower(term, kNoNode);
  return absl::OkStatus();
}

void RaftCore::Impl::HoldElection(ElectionKind kind) {
  const bool pre_vote = kind == ElectionKind::kPreVote;
  if (pre_vote) {
    BecomePreCandidate();
  } else {
    BecomeCandidate();
  }
  const Term asked = pre_vote ? term + 1 : term;
  const EntryId last = log.LastId();
  std::vector<Message> requests;
  for (NodeId voter : members.config.voters.All()) {
    if (voter == id) {
      // Our own vote too counts only once it is durable.
      Send({.type = pre_vote ? MessageType::kPreVoteResponse : MessageType::kVoteResponse,
            .to = id,
            .term = asked});
      continue;
    }
    requests.push_back({.type = pre_vote ? MessageType::kPreVote : MessageType::kVote,
                        .to = voter,
                        .from = id,
                        .term = asked,
                        .log_term = last.term,
                        .index = last.index,
                        .context = kind == ElectionKind::kTransfer ? std::string(kTransferContext)
                                                                   : std::string()});
  }
  // A vote is given to the log that the request shows. Were its end lost in a crash together with
  // this term, we could ask again in the same term with a shorter log and count late answers to the
  // first request: votes that this log would not have got. So unstable entries go first.
  const bool wait = !pre_vote && log.has_unstable() && !options.apply_unstable;
  std::vector<Message>& queue = wait ? send_when_stored_ : send_now_;
  queue.insert(queue.end(), std::make_move_iterator(requests.begin()),
               std::make_move_iterator(requests.end()));
}

void RaftCore::Impl::AnswerVoteRequest(const Message& message) {
  const bool pre_vote = message.type == MessageType::kPreVote;
  const MessageType answer = pre_vote ? MessageType::kPreVoteResponse : MessageType::kVoteResponse;
  const bool free = vote == message.from || (vote == kNoNode && leader == kNoNode) ||
                    (pre_vote && message.term > term);
  const bool up_to_date = log.IsUpToDate({message.index, message.log_term}) ||
                          options.mutation == Mutation::kVoteForStaleLog;
  // Learners vote too: one that was promoted may not know it yet, and the group need its vote.
  if (!free || !up_to_date) {
    Send({.type = answer, .to = message.from, .term = term, .reject = true});
    return;
  }
  // The asked term, not ours: a pre-candidate ahead of us would take ours for an old message.
  Send({.type = answer, .to = message.from, .term = message.term});
  if (!pre_vote) {
    election_elapsed_ = 0;
    vote = message.from;
  }
}

void RaftCore::Impl::CountVote(const Message& message) {
  votes_.try_emplace(message.from, !message.reject);
  JointQuorum voters = members.config.voters;
  if (options.mutation == Mutation::kJointNeedsIncomingOnly) voters.outgoing.clear();
  switch (voters.Count(votes_)) {
    case VoteResult::kPending:
      break;
    case VoteResult::kLost:
      // Our term, not the message's: a refused pre-vote carries the asked one.
      BecomeFollower(term, kNoNode);
      break;
    case VoteResult::kWon:
      if (role == Role::kPreCandidate) {
        HoldElection(ElectionKind::kElection);
      } else if (votes_.contains(id) || options.mutation == Mutation::kLeadBeforeOwnVoteIsDurable) {
        BecomeLeader();
        BroadcastAppend();
      }
      // Otherwise the others' votes came in before our own term and vote were durable. To lead now
      // would be to risk leading this term twice: after a crash that forgets it we could ask the
      // same voters again, be granted the votes that they gave us, and put other entries where the
      // first ones already went. Our own vote is on its way (HoldElection) and brings us here
      // again.
      break;
  }
}

void RaftCore::Impl::Tick() {
  if (leading()) {
    TickHeartbeat();
  } else {
    TickElection();
  }
}

void RaftCore::Impl::TickElection() {
  ++election_elapsed_;
  if (election_elapsed_ < randomized_election_ticks || !Promotable()) return;
  election_elapsed_ = 0;
  // Refusals are normal here (draining, changes to apply); the next timeout tries again.
  (void)StartElection(options.pre_vote ? ElectionKind::kPreVote : ElectionKind::kElection);
}

void RaftCore::Impl::TickHeartbeat() {
  ++heartbeat_elapsed_;
  ++election_elapsed_;
  if (election_elapsed_ >= options.election_ticks) {
    election_elapsed_ = 0;
    if (options.check_quorum) CheckQuorum();
    // A transfer that took this long has failed; the group must not wait for it any longer.
    if (leading()) AbortTransfer();
  }
  if (!leading() || heartbeat_elapsed_ < options.heartbeat_ticks) return;
  heartbeat_elapsed_ = 0;
  BroadcastHeartbeat();
}

void RaftCore::Impl::CheckQuorum() {
  std::map<NodeId, bool> active;
  for (const auto& [node, progress] : members.progress) {
    if (!progress.learner()) active[node] = progress.recent_active();
  }
  if (members.config.voters.Count(active) != VoteResult::kWon) BecomeFollower(term, kNoNode);
  for (auto& [node, progress] : members.progress) {
    if (node != id) progress.set_recent_active(false);
  }
}

absl::Status RaftCore::Impl::TransferLeadership(NodeId target) {
  Progress* peer = FindProgress(target);
  if (peer == nullptr || peer->learner()) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, "node {} is not a voter", target.value());
  }
  if (transfer_target_ == target) return absl::OkStatus();
  if (transfer_target_ != kNoNode) AbortTransfer();
  if (target == id) return absl::OkStatus();
  // It has one election timeout from now; see TickHeartbeat.
  election_elapsed_ = 0;
  transfer_target_ = target;
  if (peer->match() == log.last()) {
    Send({.type = MessageType::kTimeoutNow, .to = target});
  } else {
    SendAppend(target);
  }
  return absl::OkStatus();
}

absl::Status RaftCore::Impl::ForgetLeader() {
  if (role != Role::kFollower) return absl::OkStatus();
  if (options.read_mode == ReadMode::kLease) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      "reads rest on leases: a leader can't be forgotten");
  }
  leader = kNoNode;
  return absl::OkStatus();
}

}  // namespace holdfast::raft
