// raft/core/core_impl.h
// The state behind RaftCore and its parts; private to raft/core. The methods stand in one file per
// duty: raft_core.cc (entrance, terms, Readys), election.cc, replication.cc, read_index.cc,
// configuration.cc (membership and snapshots), invariants.cc.
// Threads: owned by its RaftCore.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "raft/core/membership.h"
#include "raft/core/raft_core.h"
#include "raft/core/raft_log.h"
#include "raft/core/raft_options.h"
#include "raft/core/raft_types.h"

namespace holdfast::raft {

// Why an election is held.
enum class ElectionKind : uint8_t { kPreVote, kElection, kTransfer };

// Reads that wait for a quorum to confirm this leader. Reads are numbered in order of arrival; a
// heartbeat carries the number of the newest one, and its answer confirms all up to there.
class ReadQueue {
 public:
  struct Read {
    NodeId reader;
    std::string context;
    LogIndex index = 0;
  };

  void Add(Read read) { waiting_.push_back(std::move(read)); }
  // The context that confirms all waiting reads; empty when there are none.
  std::string HeartbeatContext() const;
  void Acknowledge(NodeId from, std::string_view context);
  // Takes out the reads that the voters have confirmed by now.
  std::vector<Read> TakeConfirmed(const JointQuorum& voters);

  size_t waiting() const { return waiting_.size(); }

 private:
  std::deque<Read> waiting_;
  uint64_t confirmed_ = 0;                   // Reads ever taken out.
  std::map<NodeId, uint64_t> acknowledged_;  // Numbers of reads.
};

class RaftCore::Impl {
 public:
  Impl(const RaftOptions& options, const LogView& view);

  // --- raft_core.cc: what RaftCore's methods of the same names do ---
  void Tick();
  void SetHeartbeatPhase(int ticks) { heartbeat_elapsed_ = ticks; }
  absl::Status StepFromPeer(Message message);
  absl::Status Step(Message message);
  bool HasReady() const;
  Ready TakeReady();
  std::vector<Message> AppendDone(std::vector<Message> responses);
  void ApplyDone(const ApplyToken& done);
  CoreStatus Status() const;
  absl::StatusOr<ProposedAt> Propose(std::vector<Entry> entries);
  absl::StatusOr<ProposedAt> ProposeConfChange(const ConfChange& change);

  // --- invariants.cc ---
  // Ends the process unless the state, alone and compared with the last call's, is possible.
  void CheckInvariants();

  RaftOptions options;
  NodeId id;
  Term term = 0;
  NodeId vote;
  Role role = Role::kFollower;
  NodeId leader;
  RaftLog log;
  Membership members;
  bool may_campaign = true;
  int randomized_election_ticks = 0;
  uint64_t dropped = 0;

  // --- election.cc ---
  void BecomeFollower(Term new_term, NodeId new_leader);
  void BecomeCandidate();
  void BecomePreCandidate();
  void BecomeLeader();
  absl::Status StartElection(ElectionKind kind);
  absl::Status RenewTerm();
  absl::Status Resign();
  bool Promotable() const;
  absl::Status TransferLeadership(NodeId target);
  absl::Status ForgetLeader();

  // --- configuration.cc ---
  ConfState ApplyConfEntry(const Entry& entry);
  ConfState ApplyConfChange(const ConfChange& change);

  // --- read_index.cc ---
  absl::Status ReadIndex(NodeId reader, std::string context);

  // --- replication.cc ---
  void ReportUnreachable(NodeId peer);
  void ReportSnapshot(NodeId peer, bool arrived);

 private:
  // --- raft_core.cc ---
  void Send(Message message);
  void Drop() { ++dropped; }
  bool leading() const { return role == Role::kLeader; }
  SoftState soft_state() const { return {leader, role}; }
  HardState hard_state() const { return {term, vote, log.committed()}; }
  // False: the message's term makes it void; the answer, if any, is sent.
  bool HeedTerm(const Message& message);
  absl::Status StepFollower(Message message);
  absl::Status StepCandidate(Message message);
  absl::Status StepLeader(Message message);
  void FollowLeader(Message message);
  void HandleStored(const Message& message);

  AppendTask MakeAppendTask();
  bool NeedsAppendTask() const;
  std::optional<Message> StoredAnswer() const;
  Progress* FindProgress(NodeId node);

  // --- election.cc ---
  void Reset(Term new_term);
  absl::Status MayHoldElection() const;
  bool Renews() const { return renewed_term_ != 0 && renewed_term_ == term; }
  void HoldElection(ElectionKind kind);
  void AnswerVoteRequest(const Message& message);
  void CountVote(const Message& message);
  void CheckQuorum();
  void TickElection();
  void TickHeartbeat();
  void DrawElectionTimeout();
  void AbortTransfer() { transfer_target_ = kNoNode; }

  // --- replication.cc ---
  absl::Status AppendProposal(std::vector<Entry> entries);
  absl::Status VetConfChanges(std::vector<Entry>& entries);
  bool AppendOwn(std::vector<Entry> entries);
  void SendAppend(NodeId to) { TrySendAppend(to, /*even_if_empty=*/true); }
  bool TrySendAppend(NodeId to, bool even_if_empty);
  bool TrySendSnapshot(NodeId to, Progress& peer);
  void BroadcastAppend();
  void SendHeartbeat(NodeId to, const std::string& context);
  void BroadcastHeartbeat();
  bool TryCommit();
  bool CommittedInOwnTerm() const;
  void HandleAppend(Message message);
  void HandleHeartbeat(const Message& message);
  void HandleAppendResponse(Progress& peer, const Message& message);
  void HandleRefusal(Progress& peer, const Message& message);
  void HandleAcceptance(Progress& peer, const Message& message);
  void HandleHeartbeatResponse(Progress& peer, const Message& message);

  // --- configuration.cc ---
  void AppliedTo(LogIndex index, uint64_t bytes);
  ConfState SwitchTo(Membership next);
  void HandleSnapshot(const Message& message);
  bool RestoreSnapshot(const std::shared_ptr<const Snapshot>& snapshot);
  void SnapshotInstalled(const Snapshot& snapshot);
  InflightLimits inflight_limits() const;

  // --- read_index.cc ---
  void StartRead(NodeId reader, std::string context);
  void ReleaseEarlyReads();
  void AnswerRead(NodeId reader, std::string context, LogIndex index);
  void ConfirmReads(const Message& heartbeat_response);

  // What the last CheckInvariants() saw.
  struct Seen {
    Term term = 0;
    NodeId vote;
    LogIndex committed = 0;
    LogIndex applied = 0;
    Role role = Role::kFollower;
    LogIndex last = 0;
  };

  int election_elapsed_ = 0;
  int heartbeat_elapsed_ = 0;
  uint64_t jitter_state_;

  std::map<NodeId, bool> votes_;
  NodeId transfer_target_;
  // The last configuration change in the log is at or below this index.
  LogIndex pending_conf_index_ = 0;
  // The present configuration includes all changes up to this index, at least.
  LogIndex configured_to_ = 0;
  uint64_t uncommitted_bytes_ = 0;

  // While this node stands to renew a term that it led: it may stand again, told not to or not,
  // until somebody leads. 0: it does not.
  Term renewed_term_ = 0;

  ReadQueue reads_;
  // Reads that arrived before this leader had committed an entry of its term.
  std::vector<ReadQueue::Read> early_reads_;

  std::vector<Message> send_now_;
  // Votes and acknowledgements: they leave when everything unstable so far is durable.
  std::vector<Message> send_when_stored_;
  std::vector<ReadState> read_states_;
  SoftState told_soft_state_;
  HardState told_hard_state_;
  // The log's end according to the AppendTasks handed out: below it, entries overwrite.
  LogIndex handed_out_to_ = 0;
  Seen seen_;

  friend class RaftCore;
};

}  // namespace holdfast::raft
