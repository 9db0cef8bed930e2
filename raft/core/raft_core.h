// raft/core/raft_core.h
// RaftCore decides and never acts. Give it ticks, peer messages and proposals; take a Ready, the
// list of effects that the caller owes. It opens no file, reads no clock and draws no luck beyond
// its seed, so equal inputs give equal Readys and a simulation seed replays a whole election.
//
//   core.Step(message); core.Propose(...); core.Tick();
//   while (core.HasReady()) {
//     Ready ready = core.TakeReady();
//     send(ready.send_now);
//     if (ready.append) store in order, later: send(core.AppendDone(responses));
//     if (ready.apply)  apply in order, later: core.ApplyDone(ready.apply->done);
//   }
//
// Promises: equal to etcd-io/raft's semantics with asynchronous storage writes. No vote and no
//           acknowledgement is visible outside before the write that it rests on is durable.
// Threads:  owned by the raft context; unsynchronised.
// Lifetime: the LogView outlives the core.
// Errors:   nonsense from peers is dropped and counted. A broken invariant ends the process:
//           a node that doubts its own log must not vote.
// Limits:   named in RaftOptions. Memory grows with unstable and in-flight entries only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/status.h"
#include "raft/core/confchange.h"
#include "raft/core/log_view.h"
#include "raft/core/progress.h"
#include "raft/core/raft_options.h"
#include "raft/core/raft_types.h"

namespace holdfast::raft {

// Storage work. Tasks must be completed in the order given. Everything in it belongs into one
// atomic write: the snapshot (if any) replaces log and state, then `entries` replace whatever the
// log holds from entries.front().index on, then the hard state.
struct AppendTask {
  std::optional<HardState> hard_state;
  std::vector<Entry> entries;
  // Set when `entries` overwrite older ones: everything from here on is to be forgotten first.
  std::optional<LogIndex> truncate_from;
  // To be installed: log and state machine begin anew at its index.
  std::shared_ptr<const Snapshot> snapshot;
  // The write must be durable before the responses are released. If false it may lag, because
  // nothing rests on it (a moved commit index); order is to be kept all the same.
  bool must_sync = false;
  // Released by AppendDone() once this task, and every one before it, is durable: votes and
  // acknowledgements, for peers and for this node itself.
  std::vector<Message> responses;
};

// What ApplyDone() is told. Opaque to the caller.
struct ApplyToken {
  LogIndex index = 0;
  uint64_t encoded_bytes = 0;
  uint64_t payload_bytes = 0;
};

// Committed entries to apply, in order. Entries of the two kConfChange types must be passed to
// RaftCore::ApplyConfEntry() as they are applied. A caller that applies beside the core must skip
// entries at or below a snapshot that it installed meanwhile.
struct ApplyTask {
  std::vector<Entry> entries;
  ApplyToken done;
};

// Effects since the last TakeReady(). Messages in send_now leave at once.
struct Ready {
  std::optional<SoftState> soft_state;
  std::vector<ReadState> read_states;
  std::vector<Message> send_now;
  std::optional<AppendTask> append;
  std::optional<ApplyTask> apply;
};

// A peer as its leader sees it.
struct ProgressStatus {
  LogIndex match = 0;
  LogIndex next = 0;
  ProgressState state = ProgressState::kProbe;
  LogIndex pending_snapshot = 0;
  bool recent_active = false;
  bool paused = false;
  bool learner = false;
  uint64_t inflight_messages = 0;
  uint64_t inflight_bytes = 0;
  bool inflight_full = false;
};

// A copy for eyes outside; a moment old as soon as it is made.
struct CoreStatus {
  NodeId id;
  Role role = Role::kFollower;
  NodeId leader;
  HardState hard_state;  // With the commit index as known, not as stored.
  LogIndex applied = 0;
  LogIndex applying = 0;
  LogIndex first = 0;
  LogIndex last = 0;
  LogIndex unstable_from = 0;  // Entries from here on are not known to be durable here.
  NodeId transferring_to;
  uint64_t uncommitted_bytes = 0;
  int election_elapsed = 0;
  int randomized_election_ticks = 0;
  ConfState conf_state;
  std::map<NodeId, ProgressStatus> progress;  // Empty unless leading.
  uint64_t dropped_messages = 0;
};

// Where Propose() put its entries. A place, not a promise: an entry is decided only when an
// ApplyTask carries this index at this term. Forwarded proposals (index 0) have no known place.
struct ProposedAt {
  LogIndex first = 0;
  LogIndex last = 0;
  Term term = 0;
};

class RaftCore {
 public:
  // Reads `log` for the state that the previous run made durable. CHECK-fails on options that
  // ValidateOptions() refuses and on a durable state that contradicts itself.
  RaftCore(const RaftOptions& options, const LogView& log);
  ~RaftCore();
  RaftCore(const RaftCore&) = delete;
  RaftCore& operator=(const RaftCore&) = delete;

  // One tick of the host's clock has passed. May begin an election or a heartbeat.
  void Tick();
  // The next Tick() of a leader counts as the one behind `ticks` without a heartbeat (less than
  // heartbeat_ticks). A host with many groups gives all of them the same, so that their heartbeats
  // fall on one tick and share frames.
  void SetHeartbeatPhase(int ticks);

  // Takes a peer's message. Loss, repetition, reordering and old terms are all normal here.
  //   kInvalidArgument     a type that peers may not send, or from this node itself
  //   kNotFound            an answer of a node that is not in the configuration
  //   others               a forwarded proposal was refused, as by Propose()
  absl::Status Step(Message message);

  // Appends to the leader's log; index and term of the entries are set here.
  //   kFailedPrecondition  not the leader; leader() may hint at who is
  //   kResourceExhausted   undecided bytes would pass options.uncommitted_bytes_max; try later
  //   kUnavailable         leadership is being handed over, or this node left the configuration
  //   kInvalidArgument     nothing offered
  absl::StatusOr<ProposedAt> Propose(std::vector<Entry> entries);

  // Proposes a change of configuration; it takes effect when it is applied. As Propose(), and
  //   kAborted             another change is pending, or the change does not fit the present form
  //                        (joint or not); an empty entry was appended in its place
  absl::StatusOr<ProposedAt> ProposeConfChange(const ConfChange& change);

  // To be called while applying a committed configuration entry, before ApplyDone() of its task.
  // Answers with the configuration from now on, for the store and for snapshots. CHECK-fails on an
  // entry that can't be decoded: it was committed, so others have applied it. An entry at or below
  // a snapshot that was taken in meanwhile changes nothing, for the snapshot's configuration
  // includes it.
  ConfState ApplyConfEntry(const Entry& entry);
  // The same for a caller that has decoded the entry and knows that no snapshot overtook it.
  ConfState ApplyConfChange(const ConfChange& change);

  // Asks for a point at which a read is linearizable; a later Ready gives back `context` with it,
  // or never, if leadership is lost meanwhile: ask again after a time.
  //   kFailedPrecondition  no leader known
  //   kResourceExhausted   options.pending_reads_max are waiting already
  absl::Status ReadIndex(std::string context);

  // Hands leadership to `target` (or asks the leader to). Ends by itself after one election
  // timeout if the target can't take over. kFailedPrecondition: no leader; kInvalidArgument: a
  // learner or stranger.
  absl::Status TransferLeadership(NodeId target);

  // Forgets a leader that is known to be gone, so that this follower may vote before its election
  // timeout. kFailedPrecondition: leases are in use.
  absl::Status ForgetLeader();

  // Starts an election now. kFailedPrecondition: may not campaign, see set_may_campaign(), or
  // can't: not a voter, or configuration changes are yet to be applied.
  absl::Status Campaign();

  // A leader gives up its term and stands for election at once, past the leases that are its own: a
  // request to take over (kTimeoutNow) that it sent in that term and that is still on its way then
  // moves nobody. Also if it may not campaign, and until somebody leads again: it gains nothing
  // that it did not have. kFailedPrecondition: does not lead, hands over just now, or as for
  // Campaign().
  absl::Status RenewTerm();

  // A leader gives up and follows nobody, in the same term, for a reason of its host's: others
  // stand for election when their leases are over, and so may this node; see set_may_campaign().
  // kFailedPrecondition: does not lead.
  absl::Status Resign();

  // The transport lost a message to `peer` for certain: probe it instead of streaming.
  void ReportUnreachable(NodeId peer);
  // The snapshot sent to `peer` arrived or failed.
  void ReportSnapshot(NodeId peer, bool arrived);

  // A drained node follows, votes and stores, but never starts an election, not even when a leader
  // asks for it. Leadership it has is not given up by this alone: transfer it.
  void set_may_campaign(bool may);
  bool may_campaign() const;

  bool HasReady() const;
  [[nodiscard]] Ready TakeReady();

  // `responses` are those of one completed AppendTask (or of several, in order). Those for this
  // node are taken in; the rest comes back, to be sent to peers now.
  [[nodiscard]] std::vector<Message> AppendDone(std::vector<Message> responses);
  // The entries of an ApplyTask are applied.
  void ApplyDone(const ApplyToken& done);

  NodeId id() const;
  Role role() const;
  NodeId leader() const;  // kNoNode: unknown.
  Term term() const;
  LogIndex commit() const;
  CoreStatus Status() const;

  // Tests only: the election timeout until the next change of role or term, instead of the drawn
  // one.
  void SetElectionTicksForTest(int ticks);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::raft
