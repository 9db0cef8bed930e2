// raft/host/replica.h
// Replica is one group on this node: its core, its proposals without an answer, and the order in
// which what the core owes is paid. GroupHost has one for each group, and lends it contexts and
// transport through ReplicaEffects. Private to raft/host.
//
// The apply side works on ApplyJobs: a run of committed entries (or one change of configuration)
// that goes to the apply context and comes back. One job of a group is out at a time, so that jobs
// grow with load.
//
// A snapshot comes in three steps: the leader's word that it has one (the host then pulls it, see
// SnapshotIntake), TakePulled() when rows and bodies are here, and the write that makes them the
// group's state, which waits until no job is out and drops what was waiting to be applied.
// Threads:  owned by the raft context, except RunApplyJob(): the apply context.
// Lifetime: the host owns it and keeps it until no job and no write of it is out.
// Errors:   see GroupHost. Limits: GroupHostOptions.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "base/byte_budget.h"
#include "raft/core/raft_core.h"
#include "raft/host/group_host.h"
#include "raft/host/group_log.h"
#include "raft/host/pending_reads.h"
#include "raft/host/snapshot_pull.h"
#include "raft/host/undecided.h"
#include "raft/storage/group_commit.h"

namespace holdfast::raft {

// A proposal on its way: where to answer, and the memory that it holds until it is decided.
struct Answer {
  ProposeCallback done;
  ByteBudget::Reservation group_bytes;
  ByteBudget::Reservation total_bytes;
  ByteBudget::Reservation total_count;
};

struct Offer {
  Entry entry;  // Without index and term.
  Answer answer;
};

struct ApplyJob {
  std::vector<Entry> entries;
  std::optional<ConfState> conf_state;  // When the last entry changed the configuration.
  std::vector<ApplyToken> done;
  // Beside each entry: the proposal that it was, if it was made here.
  std::vector<std::optional<Undecided<Answer>::Pending>> answers;
  // Proposals that these entries rule out.
  std::vector<Undecided<Answer>::Pending> aborted;
  std::vector<BodyKey> doomed;  // HostMutation::kTruncateBodies.
  LogIndex last = 0;
};

// What a replica may cause.
class ReplicaEffects {
 public:
  virtual ~ReplicaEffects() = default;
  virtual void Send(GroupId group, Message message) = 0;
  virtual void Store(StorageTask task) = 0;
  // Runs RunApplyJob() in the apply context, then gives the job back to JobDone().
  virtual void Apply(GroupId group, std::shared_ptr<ApplyJob> job) = 0;
  // Runs the machine's OnLeaderChange() in the apply context.
  virtual void TellLeader(GroupId group, bool leader, Term term) = 0;

  // `from`, which leads in `term`, has a snapshot for this replica: to be pulled.
  virtual void WantSnapshot(GroupId group, NodeId from, Term term) = 0;
  // What TakePulled() was given is installed. Runs the machine's OnSnapshotInstalled() in the apply
  // context; until it has, no other snapshot may be pulled: its rows would be taken for these.
  virtual void SnapshotInstalled(GroupId group, LogIndex index) = 0;
  // What TakePulled() was given was of no use and is gone.
  virtual void SnapshotDropped(GroupId group) = 0;
  // See SnapshotSources::LastAsked().
  virtual absl::Duration LastAsked(NodeId peer, GroupId group) const = 0;
};

class Replica {
 public:
  Replica(const GroupHostOptions& options, uint64_t seed, std::unique_ptr<GroupLog> log,
          raft::Store& store, StateMachine& machine, ReplicaEffects& effects);
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  // Campaigns at once if this node is the only voter.
  void Start();

  void Propose(std::vector<Offer> offers, absl::Duration deadline);
  void ProposeConfChange(const ConfChange& change, Answer answer, absl::Duration deadline);
  // `heartbeat_phase`: RaftCore::SetHeartbeatPhase(), the same for all groups.
  // True: Status() may tell something new, but for what a heartbeat changes.
  bool Tick(absl::Duration now, int heartbeat_phase);
  void Receive(Message message);
  // Installs it if it is still of use and its source leads; otherwise waits for that, a while.
  void TakePulled(PulledSnapshot pulled);
  void PeerUnreachable(NodeId peer);
  // `peer` said what it remembers of this replica's promises, and the store has kept them.
  void Greeted(NodeId peer) { ungreeted_.erase(peer); }
  absl::Status TransferLeadership(NodeId target);
  void SetMayCampaign(bool may) {
    may_campaign_ = may;
    StandBack(stands_back_ticks_);
  }
  // The body is of no use here, and no other member gave it, with what came of that. A leader whose
  // followers lack it can't send them the entry, and has nothing behind it committed: unless that
  // entry is, it makes way for those who have less.
  void BodyLost(const BodyKey& key, const absl::Status& why);

  // GroupHost::Read().
  void Read(AskedRead read, absl::Duration now);

  // A write of this group is as durable as it asked to be.
  void Stored(StorageTask task);
  // On the apply context: false when the store failed, and the job must not be given back.
  bool RunApplyJob(ApplyJob& job);
  void JobDone(ApplyJob& job);

  // Nothing of this group is being stored or applied, or waits for it.
  bool idle() const { return !applying_ && to_apply_.empty() && writes_out_ == 0; }
  // Answers every undecided proposal with `status`.
  void AnswerAll(const absl::Status& status);

  GroupStatus Status() const;
  GroupId group() const { return group_; }
  StateMachine& machine() { return machine_; }
  ByteBudget& undecided_bytes() { return undecided_bytes_; }  // Thread-safe.

 private:
  // An entry to apply; `done` on the last one of each ApplyTask.
  struct ToApply {
    Entry entry;
    std::optional<ApplyToken> done;
  };

  void PayDebts();  // What the core's Readys owe.
  // Does not campaign for so long, or until another node leads.
  void StandBack(int ticks);
  void Send(Message message);
  bool HandedOver() const {
    return core_.role() == Role::kLeader && core_.term() == handed_over_term_;
  }
  // The term after that one has begun, by this node's renewal or by who was asked, and nobody is
  // known to lead it yet.
  bool Renewing() const {
    return core_.leader() == kNoNode && handed_over_term_ != 0 &&
           core_.term() == handed_over_term_ + 1;
  }
  // True for a request for a vote that must not be heard yet; see votes_withheld_ticks_.
  bool Withheld(const Message& message) const;
  bool AwaitsGreetings() const { return ungreeted_ticks_ > 0 && !ungreeted_.empty(); }
  void StartWrite(AppendTask task);
  void Enqueue(StorageTask task);

  // replica_snapshot.cc
  // True when the message was dealt with here, and the core must not hear it.
  bool ReceiveSnapshotOffer(const Message& message);
  bool RefuseAppendUnborn(const Message& message);
  bool HeedUnborn(const Message& message);
  void TryInstall();
  void DropPulled();
  LogWrite::Install InstallOf(const Snapshot& snapshot);
  void ReleaseHeld();
  void Installed(const LogWrite::Install& install);
  void WatchSnapshots(const CoreStatus& leader, absl::Duration now);
  // The peer has what it pulled, but our log begins behind that by now: it needs another one.
  void OfferAgain(NodeId peer);
  void FillMembers(GroupStatus& status) const;
  // The core forgets at each check of its quorum whom it heard from; people and balance want to
  // know who was silent for an election timeout.
  void CountSilence(const CoreStatus& leader);
  void FollowLeadership();
  void StartApply();
  void MutateChange(ConfChange& change) const;  // Tests only.
  void TruncateLog();
  void TruncateBefore(LogIndex before);
  void DoomBodies(LogIndex before);  // HostMutation::kTruncateBodies.

  const GroupHostOptions& options_;
  const GroupId group_;
  raft::Store& store_;
  StateMachine& machine_;
  ReplicaEffects& effects_;
  std::unique_ptr<GroupLog> log_;
  RaftCore core_;
  ByteBudget undecided_bytes_;

  Undecided<Answer> undecided_;
  std::deque<ToApply> to_apply_;
  std::vector<BodyKey> doomed_;  // HostMutation::kTruncateBodies.
  bool applying_ = false;
  uint64_t writes_out_ = 0;
  ConfState conf_state_;
  bool single_voter_ = false;
  LogIndex applied_ = 0;
  // What the core was told of it. A job may end within an ApplyTask, of which the core hears only
  // when all of it is applied; until then it may ask for any of the task's entries.
  LogIndex core_applied_ = 0;
  Term applied_term_ = 0;
  Term announced_term_ = 0;  // Of the leadership that the machine knows of; 0: none.
  PendingReads reads_;
  Term reads_term_ = 0;  // Of the leadership that they rest on.
  // A process that died may have told a leader, a moment before, that it would not vote for others
  // (a read point rests on that). So it hears no request for its vote for one election timeout
  // after its start, unless the leader itself asked for the election. The same after a leader made
  // way, whose own reads rest on its vote too.
  int votes_withheld_ticks_ = 0;
  bool may_campaign_ = true;  // As the host wishes.
  int stands_back_ticks_ = 0;
  // A replica that never wrote anything need not wait so: it tells no leader that it hears it.
  bool newborn_ = false;
  // The store may have forgotten what it promised, and those who know have not said so yet. Until
  // all others of the group have, or an election timeout has passed, nothing is heard that a vote
  // or an acknowledgement could follow.
  std::set<NodeId> ungreeted_;
  int ungreeted_ticks_ = 0;
  // The newest term in which this leader asked another node to take over. All heed such a request,
  // whatever leases hold, and it may come late: in front of a process that is stopped it waits for
  // as long as that takes. So no read of that term is relied on, however long ago it was, and if
  // nobody has taken over after a time, the leader takes a new term.
  Term handed_over_term_ = 0;
  int handed_over_ticks_ = 0;           // Counts down from the latest such request to the new term.
  std::map<NodeId, int> silent_ticks_;  // Of a leader: since each member was heard from.

  std::optional<PulledSnapshot> pulled_;  // Waits to be installed, or is being installed.
  int pulled_ticks_left_ = 0;             // For the wait.
  bool installing_ = false;               // From the core's word to the end of the write.
  std::deque<StorageTask> held_;          // The install, and what comes behind it: a job is out.
  std::vector<ApplyToken> dropped_;       // Of entries that the snapshot overtook.
  // Of a leader: since when each member has had a snapshot to pull, and did not say that it has it.
  std::map<NodeId, absl::Duration> offered_since_;
  absl::Duration now_;  // At the last tick.
};

// Calls `answer.done` with the result, once, and gives its memory back.
void AnswerOnce(Answer& answer, absl::Status status, LogIndex index, Term term);

}  // namespace holdfast::raft
