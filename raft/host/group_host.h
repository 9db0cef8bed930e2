// raft/host/group_host.h
// GroupHost runs this node's replicas of all groups: it owns their cores, feeds them ticks, peer
// messages and proposals, and pays what their Readys owe, in the order that Raft's proof needs:
// store (one fsync for all groups), then send, then apply. It has never heard of mail.
//
//   GroupHost host(options, {raft, storage, apply}, store, transport, clock, machine_of);
//   status = host.Start();
//   host.Propose(group, {command, {body}}, [](const ProposeResult& r) { ... });
//   host.Stop();   // before the contexts are stopped
//
// Three contexts, none of which waits for another: *raft* owns cores and undecided proposals,
// *storage* does the blocking writes and syncs, *apply* owns the state machines. They may be
// threads or, in the simulation, one ManualContext.
//
// Promises: a proposal is answered exactly once. OK or a refusal by the state machine is given only
//   after its entry is on disk on a majority, committed, applied, and its rows are visible.
// Threads:  thread-safe, except Start() and Stop(): once each, from one thread, not from a context.
// Lifetime: store, clock, contexts and state machines outlive Stop(), and then the transport's end:
//           its threads read the store and ask the machines (snapshots). It ends before this does.
// Errors:   a store that fails ends the process (see Store); entries that can't be understood too.
// Limits:   undecided bytes and proposals are bounded per group and over all groups.
#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/context.h"
#include "base/status.h"
#include "base/strong_id.h"
#include "raft/core/confchange.h"
#include "raft/core/raft_types.h"
#include "raft/host/ack_memory.h"
#include "raft/host/body_mender.h"
#include "raft/host/host_mutation.h"
#include "raft/host/snapshot_options.h"
#include "raft/host/state_machine.h"
#include "raft/storage/body_key.h"
#include "raft/storage/state_batch.h"
#include "raft/storage/store.h"
#include "raft/transport/transport.h"

namespace holdfast::raft {

struct GroupHostOptions {
  NodeId self;  // As in the store's identity (CHECK).

  // Timers belong together; members of a cluster must have equal ones (architecture: 50/150/1000).
  absl::Duration tick = absl::Milliseconds(50);
  int heartbeat_ticks = 3;
  // An election starts after election_ticks to 2 * election_ticks - 1 silent ticks.
  int election_ticks = 20;

  // Proposals not decided by then are answered kDeadlineExceeded, checked at each tick.
  absl::Duration commit_timeout = absl::Seconds(5);

  // Commands and bodies offered and not yet decided: kResourceExhausted beyond.
  uint64_t undecided_bytes_max = uint64_t{512} << 20;
  uint64_t group_undecided_bytes_max = uint64_t{128} << 20;
  uint64_t undecided_proposals_max = 100'000;
  // One entry: its command and its bodies.
  uint64_t command_bytes_max = uint64_t{1} << 20;
  uint64_t entry_bytes_max = uint64_t{8} << 20;
  uint32_t entry_bodies_max = 64;

  // Entries given to the state machine with one batch.
  uint32_t apply_batch_entries_max = 512;
  uint64_t apply_batch_bytes_max = uint64_t{4} << 20;

  // Writes that share one sync.
  uint64_t storage_batch_bytes_max = uint64_t{32} << 20;

  // Headers kept behind the applied index, for followers that lag. When a group has a quarter more
  // (or a quarter more bytes of commands), the older ones go. Bodies are not touched.
  uint64_t log_entries_kept = 20'000;
  uint64_t log_bytes_kept = uint64_t{32} << 20;
  // Commands of the newest entries held in memory per group, so that apply reads no disk.
  uint64_t log_cache_bytes_max = uint64_t{4} << 20;

  // Peer messages waiting for the raft context, and the bytes of their entries; more are dropped,
  // which Raft mends.
  uint64_t inbox_messages_max = 16'384;
  uint64_t inbox_bytes_max = uint64_t{128} << 20;

  // Reads waiting for an answer, per group; kResourceExhausted beyond.
  uint64_t reads_max = 10'000;

  SnapshotOptions snapshots;

  // Peers greet this node (see Greeted()): a replica hears nothing until all others of its group
  // have, or one election timeout after its start has passed.
  bool greetings = false;

  // How long Stop() waits for work that doesn't end.
  absl::Duration stop_timeout = absl::Seconds(10);

  // Seed of election jitter; 0 takes one from the kernel.
  uint64_t seed = 0;

  HostMutation mutation = HostMutation::kNone;  // Tests only.
};

// Where the host's three parts run. Each is one thread, or all are one ManualContext. A thread
// needs room for 64 tasks and 4 for each group, for the host never has more waiting there.
struct GroupHostContexts {
  Context& raft;
  Context& storage;
  Context& apply;
};

struct Proposal {
  // What StateMachine::Apply() gets; opaque here. Empty is refused (kInvalidArgument).
  std::string command;
  // Stored beside it. Must not be changed afterwards by anybody.
  std::vector<Body> bodies;
};

struct ProposeResult {
  // OK                   committed, applied, accepted by the state machine
  // any other verdict    committed, applied, refused by the state machine: `index` is not 0
  // With `index` 0 the state machine has not spoken:
  // kUnavailable         nothing happened: the host stops, or no such group yet
  // kFailedPrecondition  nothing happened: not the leader (GroupStatus::leader may know who is)
  // kResourceExhausted   nothing happened: a bound of GroupHostOptions would be passed
  // kInvalidArgument     nothing happened: empty or over a size limit
  // kAborted             definitely not applied, now or later: another entry has its place
  // kDeadlineExceeded    outcome UNKNOWN: it may be applied later, or never
  absl::Status status;
  LogIndex index{};
  Term term{};
};

// A point at which reading the state machine's rows sees every answer given before the read was
// asked for, by any leader (thesis 6.4). `asked_at` is older than the moment at which a majority
// confirmed that this node led: until asked_at plus the least election timeout no other leader can
// have been elected, unless this one handed leadership over itself.
struct ReadPoint {
  LogIndex index{};
  absl::Duration asked_at;  // Clock::SinceBoot().
};
// kFailedPrecondition: not the leader, or not any more. kDeadlineExceeded: no majority answered in
// commit_timeout. kResourceExhausted, kUnavailable: as for proposals.
using ReadCallback = std::function<void(const absl::StatusOr<ReadPoint>&)>;
// Of a read, before it is answered, if a majority confirms: the rows of any replica that has
// applied as far as the point may be read instead of this one's.
using PointCallback = std::function<void(const ReadPoint&)>;

// The replicas of a new cluster: the control group and queue groups 1 to `queue_groups`, each with
// all of `voters`. For CreateStore().
std::vector<GroupSeed> SeedsOfCluster(const std::vector<NodeId>& voters, uint32_t queue_groups);

// Called once, on the apply context (verdicts) or the raft context (everything else), or inside
// Propose() itself once Stop() began. Must be quick and must not call Start() or Stop(): post
// elsewhere. Propose() may be called from inside.
using ProposeCallback = std::function<void(const ProposeResult&)>;

// One group as seen from this node; copied, a moment old.
struct GroupStatus {
  GroupId group;
  Role role = Role::kFollower;
  // This node leads, and its state machine has been told so.
  bool leading = false;
  NodeId leader;  // 0: unknown.
  // This node leads and is handing over, or has asked another to take over in this term: no read
  // point of it may be relied on. Or nobody is known to lead the term after that one yet.
  bool handing_over = false;
  // The newest configuration applied here; `voters_outgoing` is not empty while it is joint.
  std::vector<NodeId> voters;
  std::vector<NodeId> learners;
  std::vector<NodeId> voters_outgoing;
  // This replica lags behind its leader's log: a snapshot is being pulled or installed, or waits.
  bool receiving_snapshot = false;
  // Of a leader: how far each other member's log is known to match, and whether it was heard from
  // within an election timeout.
  struct Member {
    LogIndex match{};
    bool active = false;
    bool learner = false;
  };
  std::map<NodeId, Member> members;
  Term term{};
  LogIndex commit{};
  LogIndex applied{};
  LogIndex first{};  // First header still in the log; last + 1 when none is.
  LogIndex last{};
  uint64_t undecided_proposals = 0;
  uint64_t undecided_bytes = 0;
};

class GroupHost {
 public:
  // Asked once for each group of the store, during Start().
  using StateMachineSource = std::function<StateMachine&(GroupId)>;

  GroupHost(const GroupHostOptions& options, GroupHostContexts contexts, Store& store,
            Transport& transport, const Clock& clock, StateMachineSource machine_of);
  // Stops. With ManualContexts it forgets instead, as a crash would: nothing more is written.
  ~GroupHost();
  GroupHost(const GroupHost&) = delete;
  GroupHost& operator=(const GroupHost&) = delete;

  // Opens the core of every group in the store and hands them to the raft context. Committed
  // entries behind the stored rows are applied again. A group whose only voter is this node
  // campaigns at once; leadership is announced to the machines as soon as they are up to date.
  // kDataLoss: the log can't be read.
  absl::Status Start();

  // Refuses new proposals (kUnavailable), lets the storage and apply contexts finish what they were
  // given (everything accepted so far is synced), answers what is still undecided with
  // kDeadlineExceeded, and tells the machines that leadership is over. Waits for all that, at most
  // about `stop_timeout`. With ManualContexts it returns at once: run them until stopped().
  void Stop();
  bool stopped() const;

  void Propose(GroupId group, Proposal proposal, ProposeCallback done);

  // Changes who belongs to the group. Leader only, one change at a time: kAborted when another is
  // under way or the change does not fit; otherwise answered like a proposal, once it is applied.
  void ProposeConfChange(GroupId group, const ConfChange& change, ProposeCallback done);

  // `options.tick` has passed. Called by Ticker, or by a test.
  void Tick();

  // Answers when a majority has confirmed that this node leads and everything up to the point is
  // applied here. `done` is called like a ProposeCallback, once; `confirmed` at most once, before.
  void Read(GroupId group, ReadCallback done, PointCallback confirmed = nullptr);

  // What `peer` has promised this node as a leader's follower, for it to be told in hellos.
  std::vector<Acknowledgement> AcknowledgedBy(NodeId peer) const;
  // `peer` told, in a hello, what it remembers that this node promised. kDataLoss: the store has
  // forgotten that: from now on this node hears and sends nothing, and must end. Any thread.
  absl::Status Greeted(NodeId peer, const std::vector<Acknowledgement>& promised);

  // A peer's message arrived; bodies have their bytes or are elided. Unknown groups are dropped.
  void Receive(GroupId group, Message message) {
    std::vector<GroupMessage> one;
    one.push_back({group, std::move(message)});
    ReceiveAll(std::move(one));
  }
  // The same for several, in their order.
  void ReceiveAll(std::vector<GroupMessage> messages);
  // Messages to `peer` were lost, of whatever group.
  void PeerUnreachable(NodeId peer);
  // PeerHandler::FillBodies() for the transport: any thread, reads the store.
  absl::Status FillBodies(GroupId group, Message& message) const;

  // Fetches a body that is damaged or missing here from the group's other members; see BodyMender.
  // Thread-safe. FillBodies() and answers to fetches do so by themselves with what they find.
  void MendBody(const BodyRef& ref, std::function<bool()> wanted,
                std::function<void(const absl::Status&)> done);
  MendCounts Mended() const;

  // PeerHandler::OpenFetch() for the transport: a part of a snapshot for `peer`. Any thread; the
  // bytes are not trusted. kUnavailable: not started; others as SnapshotSources.
  absl::StatusOr<std::unique_ptr<FetchSource>> OpenFetch(NodeId peer, std::string_view request);

  // Hands leadership to `target`, if this node leads; see GroupStatus for the outcome.
  void TransferLeadership(GroupId group, NodeId target);
  // A drained node follows and stores, but never campaigns. All groups.
  void SetMayCampaign(bool may);

  // nullopt: no such group.
  std::optional<GroupStatus> Status(GroupId group) const;
  std::vector<GroupStatus> Statuses() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace holdfast::raft
