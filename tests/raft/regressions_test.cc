// Bugs that other engines had, by name. Those that are stories of several nodes stand in
// tests/raft/data; here are the ones that one core shows.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "raft/core/confchange.h"
#include "raft/core/raft_core.h"
#include "tests/raft/memory_log.h"

namespace holdfast::raft_test {
namespace {

using raft::Entry;
using raft::LogIndex;
using raft::Message;
using raft::MessageType;
using raft::RaftCore;
using raft::RaftOptions;
using raft::Ready;
using raft::Role;
using raft::Term;

std::vector<NodeId> Nodes(std::initializer_list<uint64_t> ids) {
  std::vector<NodeId> nodes;
  for (uint64_t id : ids) nodes.push_back(NodeId(id));
  return nodes;
}

Entry MakeEntry(LogIndex index, Term term, std::string command = "x") {
  Entry entry;
  entry.index = index;
  entry.term = term;
  entry.command = std::move(command);
  return entry;
}

Message From(uint64_t node, MessageType type, Term term) {
  Message message;
  message.type = type;
  message.from = NodeId(node);
  message.to = NodeId(1);
  message.term = term;
  return message;
}

Message AppendFrom(uint64_t node, Term term, LogIndex previous, Term previous_term,
                   std::vector<Entry> entries, LogIndex commit) {
  Message message = From(node, MessageType::kAppend, term);
  message.index = previous;
  message.log_term = previous_term;
  message.entries = std::move(entries);
  message.commit = commit;
  return message;
}

// Node 1, alone in the test: what others say is made up.
class OneCore {
 public:
  explicit OneCore(std::initializer_list<uint64_t> voters, RaftOptions options = Options()) {
    raft::ConfState state;
    state.voters = Nodes(voters);
    log_.set_conf_state(state);
    options_ = options;
  }
  static RaftOptions Options() {
    RaftOptions options;
    options.id = NodeId(1);
    options.election_ticks = 10;
    options.heartbeat_ticks = 1;
    options.pre_vote = false;
    options.check_quorum = false;
    return options;
  }

  RaftCore& core() {
    if (!core_) core_ = std::make_unique<RaftCore>(options_, log_);
    return *core_;
  }
  MemoryLog& log() { return log_; }
  RaftOptions& options() { return options_; }

  // Stores and applies whatever there is; what went out.
  std::vector<Message> Settle() {
    std::vector<Message> sent;
    auto send = [&sent](std::vector<Message> messages) {
      for (Message& message : messages) sent.push_back(std::move(message));
    };
    while (core().HasReady()) {
      Ready ready = core().TakeReady();
      send(std::move(ready.send_now));
      for (raft::ReadState& read : ready.read_states) reads.push_back(std::move(read));
      if (ready.append) {
        log_.Write(*ready.append);
        send(core().AppendDone(std::move(ready.append->responses)));
      }
      if (!ready.apply) continue;
      for (const Entry& entry : ready.apply->entries) {
        applied.push_back(entry);
        if (entry.type != raft::EntryType::kNormal) conf_state = core().ApplyConfEntry(entry);
      }
      core().ApplyDone(ready.apply->done);
    }
    return sent;
  }
  // Elected by the vote of node 2.
  void Lead() {
    ASSERT_TRUE(core().Campaign().ok());
    Settle();
    ASSERT_TRUE(core().Step(From(2, MessageType::kVoteResponse, core().term())).ok());
    Settle();
    ASSERT_EQ(core().role(), Role::kLeader);
  }
  // Node `node` acknowledges everything up to `index`.
  void Acknowledge(uint64_t node, LogIndex index) {
    Message message = From(node, MessageType::kAppendResponse, core().term());
    message.index = index;
    ASSERT_TRUE(core().Step(message).ok());
  }

  std::vector<Entry> applied;
  std::vector<raft::ReadState> reads;
  raft::ConfState conf_state;

 private:
  RaftOptions options_;
  MemoryLog log_;
  std::unique_ptr<RaftCore> core_;
};

bool Sent(const std::vector<Message>& messages, MessageType type) {
  for (const Message& message : messages) {
    if (message.type == type) return true;
  }
  return false;
}

// etcd#7899, etcd#14143, raft#300: the commit index is not synced, so rows may prove more.
TEST(RegressionTest, AppliedBeyondTheStoredCommitIndexAfterRestart) {
  OneCore node({1, 2, 3});
  node.log().Append({MakeEntry(1, 1), MakeEntry(2, 1), MakeEntry(3, 1)});
  node.log().set_hard_state({1, NodeId(2), 1});
  node.options().applied = 3;
  EXPECT_EQ(node.core().commit(), 3u);
  EXPECT_EQ(node.core().Status().applied, 3u);
}

// cockroach#25173, #30357, etcd#13066: a wiped or truncated log must not go on as if nothing
// happened.
TEST(RegressionDeathTest, HeartbeatCommitsBeyondALostLog) {
  OneCore node({1, 2, 3});
  node.log().Append({MakeEntry(1, 1)});
  Message heartbeat = From(2, MessageType::kHeartbeat, 1);
  heartbeat.commit = 5;
  EXPECT_DEATH((void)node.core().Step(heartbeat), "was the log lost");
}

TEST(RegressionDeathTest, StoredCommitIndexBeyondTheLog) {
  OneCore node({1, 2, 3});
  node.log().set_hard_state({1, NodeId(2), 7});
  EXPECT_DEATH((void)node.core(), "outside the log");
}

// logcabin#160: entries with gaps, packed into one append.
TEST(RegressionTest, NonContiguousEntriesAreRefused) {
  OneCore node({1, 2, 3});
  EXPECT_EQ(node.core().Step(AppendFrom(2, 1, 0, 0, {MakeEntry(1, 1), MakeEntry(3, 1)}, 0)).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(node.core().Step(AppendFrom(2, 2, 0, 0, {MakeEntry(1, 2), MakeEntry(2, 1)}, 0)).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(node.core().Status().last, 0u);
  EXPECT_EQ(node.core().Status().dropped_messages, 2u);
}

// etcd#4765, etcd#5664, qdrant#1172: nothing is promised before the disk has it.
TEST(RegressionTest, VoteAndAcknowledgementWaitForTheDisk) {
  OneCore node({1, 2, 3});
  ASSERT_TRUE(node.core().Step(From(2, MessageType::kVote, 1)).ok());
  Ready vote = node.core().TakeReady();
  EXPECT_FALSE(Sent(vote.send_now, MessageType::kVoteResponse));
  ASSERT_TRUE(vote.append && vote.append->must_sync && vote.append->hard_state);
  EXPECT_EQ(vote.append->hard_state->vote, NodeId(2));

  ASSERT_TRUE(node.core().Step(AppendFrom(2, 1, 0, 0, {MakeEntry(1, 1)}, 1)).ok());
  Ready append = node.core().TakeReady();
  EXPECT_FALSE(Sent(append.send_now, MessageType::kAppendResponse));
  ASSERT_TRUE(append.append && append.append->must_sync);
  // Committed elsewhere, but not applied here before it is on our disk.
  EXPECT_FALSE(append.apply.has_value());

  EXPECT_TRUE(
      Sent(node.core().AppendDone(std::move(vote.append->responses)), MessageType::kVoteResponse));
  node.log().Write(*append.append);
  EXPECT_TRUE(Sent(node.core().AppendDone(std::move(append.append->responses)),
                   MessageType::kAppendResponse));
  EXPECT_TRUE(node.core().TakeReady().apply.has_value());
}

// A request for votes shows the end of the log, so it waits until that is durable: after a crash
// that shortens the log, late answers to it would count for a log that did not earn them.
TEST(RegressionTest, VoteRequestsWaitForUnstableEntries) {
  OneCore node({1, 2, 3});
  ASSERT_TRUE(node.core().Step(AppendFrom(2, 1, 0, 0, {MakeEntry(1, 1)}, 0)).ok());
  ASSERT_TRUE(node.core().Campaign().ok());
  Ready ready = node.core().TakeReady();
  EXPECT_FALSE(Sent(ready.send_now, MessageType::kVote));
  ASSERT_TRUE(ready.append && ready.append->must_sync);
  node.log().Write(*ready.append);
  EXPECT_TRUE(Sent(node.core().AppendDone(std::move(ready.append->responses)), MessageType::kVote));
}

// etcd#8243, etcd#8501, canonical/raft#279: a pre-vote of a lower term must be answered, or a node
// with the longer log and the lower term could wait for ever.
TEST(RegressionTest, PreVoteOfALowerTermIsRefusedAloud) {
  RaftOptions options = OneCore::Options();
  options.pre_vote = true;
  OneCore node({1, 2, 3}, options);
  node.log().set_hard_state({5, NodeId(), 0});
  ASSERT_TRUE(node.core().Step(From(2, MessageType::kPreVote, 3)).ok());
  const std::vector<Message> sent = node.Settle();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].type, MessageType::kPreVoteResponse);
  EXPECT_TRUE(sent[0].reject);
  EXPECT_EQ(sent[0].term, 5u);
}

// ra#608: a pre-vote, asked or answered, changes neither term nor vote.
TEST(RegressionTest, PreVoteLeavesNoTrace) {
  RaftOptions options = OneCore::Options();
  options.pre_vote = true;
  OneCore node({1, 2, 3}, options);
  ASSERT_TRUE(node.core().Step(From(2, MessageType::kPreVote, 9)).ok());
  ASSERT_TRUE(node.core().Campaign().ok());
  node.Settle();
  EXPECT_EQ(node.core().role(), Role::kPreCandidate);
  EXPECT_EQ(node.core().Status().hard_state, raft::HardState());
}

// etcd-io/raft's comment on low terms: a leader that can't reach us at its term is told ours.
TEST(RegressionTest, LeaderOfALowerTermLearnsOurs) {
  RaftOptions options = OneCore::Options();
  options.check_quorum = true;
  OneCore node({1, 2, 3}, options);
  node.log().set_hard_state({5, NodeId(), 0});
  ASSERT_TRUE(node.core().Step(From(2, MessageType::kHeartbeat, 3)).ok());
  const std::vector<Message> sent = node.Settle();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].type, MessageType::kAppendResponse);
  EXPECT_EQ(sent[0].term, 5u);
}

// openraft#2080: a leader that hears no quorum steps down, and its heartbeats no longer hold back
// those who hear it.
TEST(RegressionTest, LeaderWithoutAQuorumStepsDown) {
  RaftOptions options = OneCore::Options();
  options.check_quorum = true;
  OneCore node({1, 2, 3, 4, 5}, options);
  ASSERT_TRUE(node.core().Campaign().ok());
  node.Settle();
  for (uint64_t peer : {2, 3}) {
    ASSERT_TRUE(node.core().Step(From(peer, MessageType::kVoteResponse, 1)).ok());
  }
  ASSERT_EQ(node.core().role(), Role::kLeader);
  for (int i = 0; i < 2 * options.election_ticks; ++i) {
    node.core().Tick();
    node.Settle();
    // Only node 2, through the bridge, still answers.
    (void)node.core().Step(From(2, MessageType::kHeartbeatResponse, 1));
  }
  EXPECT_EQ(node.core().role(), Role::kFollower);
  EXPECT_EQ(node.core().leader(), raft::kNoNode);
}

// openraft#1802: what was heard before an election, or twice, or of a log that is not ours, is no
// quorum for the new leader's entries.
TEST(RegressionTest, CommitTakesAQuorumOfThisTermAndOfDifferentNodes) {
  OneCore node({1, 2, 3, 4, 5});
  ASSERT_TRUE(node.core().Campaign().ok());
  node.Settle();
  for (uint64_t peer : {2, 3}) {
    ASSERT_TRUE(node.core().Step(From(peer, MessageType::kVoteResponse, 1)).ok());
  }
  node.Settle();
  ASSERT_EQ(node.core().role(), Role::kLeader);
  const LogIndex first = node.log().LastIndex();
  for (int i = 0; i < 3; ++i) node.Acknowledge(2, first);
  Message stranger = From(9, MessageType::kAppendResponse, 1);
  stranger.index = first;
  (void)node.core().Step(stranger);
  Message refused = From(3, MessageType::kAppendResponse, 1);
  refused.index = first;
  refused.reject = true;
  ASSERT_TRUE(node.core().Step(refused).ok());
  node.Settle();
  EXPECT_LT(node.core().commit(), first);

  // An election later the same answers must be given anew.
  ASSERT_TRUE(node.core().Step(From(5, MessageType::kHeartbeat, 2)).ok());
  node.Settle();
  ASSERT_TRUE(node.core().Campaign().ok());
  node.Settle();
  for (uint64_t peer : {2, 3}) {
    ASSERT_TRUE(node.core().Step(From(peer, MessageType::kVoteResponse, 3)).ok());
  }
  node.Settle();
  ASSERT_EQ(node.core().role(), Role::kLeader);
  const LogIndex second = node.log().LastIndex();
  Message late = From(4, MessageType::kAppendResponse, 1);  // Of the first term.
  late.index = second;
  (void)node.core().Step(late);
  node.Acknowledge(2, second);
  node.Settle();
  EXPECT_LT(node.core().commit(), first);
  node.Acknowledge(3, second);
  node.Settle();
  EXPECT_EQ(node.core().commit(), second);
}

// ra#607, nebula#1769: a candidate that is sent a snapshot follows and takes it.
TEST(RegressionTest, CandidateTakesASnapshot) {
  OneCore node({1, 2, 3});
  ASSERT_TRUE(node.core().Campaign().ok());
  node.Settle();
  Message message = From(2, MessageType::kSnapshot, 1);
  raft::Snapshot snapshot{8, 1, {Nodes({1, 2, 3}), {}, {}, {}, false}, ""};
  message.snapshot = std::make_shared<const raft::Snapshot>(snapshot);
  ASSERT_TRUE(node.core().Step(message).ok());
  EXPECT_EQ(node.core().role(), Role::kFollower);
  const std::vector<Message> sent = node.Settle();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].index, 8u);
  EXPECT_EQ(node.core().Status().applied, 8u);
}

// ra#641: a snapshot that is older than what is committed here changes nothing.
TEST(RegressionTest, OldSnapshotIsIgnored) {
  OneCore node({1, 2, 3});
  ASSERT_TRUE(node.core().Step(AppendFrom(2, 1, 0, 0, {MakeEntry(1, 1), MakeEntry(2, 1)}, 2)).ok());
  node.Settle();
  Message message = From(2, MessageType::kSnapshot, 1);
  raft::Snapshot snapshot{1, 1, {Nodes({1, 2, 3}), {}, {}, {}, false}, ""};
  message.snapshot = std::make_shared<const raft::Snapshot>(snapshot);
  ASSERT_TRUE(node.core().Step(message).ok());
  const std::vector<Message> sent = node.Settle();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].index, 2u);
  EXPECT_EQ(node.core().Status().last, 2u);
}

// A snapshot whose configuration contradicts itself comes from a peer: dropped, not obeyed.
TEST(RegressionTest, SnapshotWithAnImpossibleConfigurationIsDropped) {
  OneCore node({1, 2, 3});
  Message message = From(2, MessageType::kSnapshot, 1);
  raft::Snapshot snapshot{8, 1, {Nodes({1, 2}), Nodes({1}), {}, {}, false}, ""};
  message.snapshot = std::make_shared<const raft::Snapshot>(snapshot);
  ASSERT_TRUE(node.core().Step(message).ok());
  EXPECT_EQ(node.core().Status().last, 0u);
  EXPECT_EQ(node.core().Status().conf_state.voters, Nodes({1, 2, 3}));
}

// etcd#10864: a voter that becomes a learner by a snapshot campaigns no more.
TEST(RegressionTest, VoterBecomesLearnerBySnapshot) {
  OneCore node({1, 2, 3});
  Message message = From(2, MessageType::kSnapshot, 1);
  raft::Snapshot snapshot{8, 1, {Nodes({2, 3}), Nodes({1}), {}, {}, false}, ""};
  message.snapshot = std::make_shared<const raft::Snapshot>(snapshot);
  ASSERT_TRUE(node.core().Step(message).ok());
  node.Settle();
  EXPECT_EQ(node.core().Status().conf_state.learners, Nodes({1}));
  EXPECT_EQ(node.core().Campaign().code(), absl::StatusCode::kFailedPrecondition);
}

// ra#600, ra#609, hashicorp membership.md: a configuration entry that is replaced before it was
// committed never counted, so there is nothing to revert.
TEST(RegressionTest, TruncatedConfigurationEntryNeverCounted) {
  OneCore node({1, 2, 3});
  raft::ConfChange change;
  change.steps = {{raft::ConfChangeType::kRemove, NodeId(3)}};
  Entry entry = raft::EncodeConfChange(change);
  entry.index = 1;
  entry.term = 1;
  ASSERT_TRUE(node.core().Step(AppendFrom(2, 1, 0, 0, {entry}, 0)).ok());
  node.Settle();
  ASSERT_TRUE(node.core().Step(AppendFrom(3, 2, 0, 0, {MakeEntry(1, 2)}, 1)).ok());
  node.Settle();
  EXPECT_EQ(node.core().Status().conf_state.voters, Nodes({1, 2, 3}));
  ASSERT_EQ(node.applied.size(), 1u);
  EXPECT_EQ(node.applied[0].term, 2u);
}

// The overwriting task says from where on the log is to be forgotten.
TEST(RegressionTest, OverwritingAppendNamesWhereItBegins) {
  OneCore node({1, 2, 3});
  ASSERT_TRUE(node.core().Step(AppendFrom(2, 1, 0, 0, {MakeEntry(1, 1), MakeEntry(2, 1)}, 0)).ok());
  Ready first = node.core().TakeReady();
  ASSERT_TRUE(first.append.has_value());
  EXPECT_FALSE(first.append->truncate_from.has_value());
  ASSERT_TRUE(node.core().Step(AppendFrom(3, 2, 1, 1, {MakeEntry(2, 2)}, 0)).ok());
  Ready second = node.core().TakeReady();
  ASSERT_TRUE(second.append && second.append->truncate_from);
  EXPECT_EQ(*second.append->truncate_from, 2u);
}

// A late, shorter append must not cut off what a newer one brought (thesis 3.5).
TEST(RegressionTest, OldAppendDoesNotTruncate) {
  OneCore node({1, 2, 3});
  const std::vector<Entry> all = {MakeEntry(1, 1), MakeEntry(2, 1), MakeEntry(3, 1)};
  ASSERT_TRUE(node.core().Step(AppendFrom(2, 1, 0, 0, all, 0)).ok());
  ASSERT_TRUE(node.core().Step(AppendFrom(2, 1, 0, 0, {all[0]}, 0)).ok());
  EXPECT_EQ(node.core().Status().last, 3u);
}

// etcd#7331, raft#397: also a leader alone may have promised more than its stored commit index.
TEST(RegressionTest, SingleVoterReadsOnlyAfterItsOwnCommit) {
  OneCore node({1});
  node.log().Append({MakeEntry(1, 1), MakeEntry(2, 1)});
  node.log().set_hard_state({1, NodeId(1), 1});
  ASSERT_TRUE(node.core().Campaign().ok());
  Ready vote = node.core().TakeReady();
  node.log().Write(*vote.append);
  ASSERT_TRUE(node.core().AppendDone(std::move(vote.append->responses)).empty());
  ASSERT_EQ(node.core().role(), Role::kLeader);
  ASSERT_TRUE(node.core().ReadIndex("early").ok());
  node.Settle();
  ASSERT_EQ(node.reads.size(), 1u);
  EXPECT_EQ(node.reads[0].index, 3u);
}

// scylla PR 29226: reads in a joint configuration need both halves.
TEST(RegressionTest, JointReadNeedsBothMajorities) {
  OneCore node({1, 2, 3});
  node.Lead();
  node.Acknowledge(2, 1);
  node.Settle();
  raft::ConfChange change;
  change.transition = raft::ConfChangeTransition::kJointExplicit;
  change.steps = {{raft::ConfChangeType::kRemove, NodeId(2)},
                  {raft::ConfChangeType::kRemove, NodeId(3)},
                  {raft::ConfChangeType::kAddVoter, NodeId(4)}};
  ASSERT_TRUE(node.core().ProposeConfChange(change).ok());
  node.Settle();
  node.Acknowledge(2, 2);
  node.Settle();
  ASSERT_EQ(node.conf_state.voters_outgoing, Nodes({1, 2, 3}));
  ASSERT_TRUE(node.core().ReadIndex("r").ok());
  std::string context;
  for (const Message& message : node.Settle()) {
    if (message.type == MessageType::kHeartbeat) context = message.context;
  }
  for (uint64_t peer : {4, 2}) {
    EXPECT_TRUE(node.reads.empty());
    Message answer = From(peer, MessageType::kHeartbeatResponse, 1);
    answer.context = context;
    ASSERT_TRUE(node.core().Step(answer).ok());
    node.Settle();
  }
  EXPECT_EQ(node.reads.size(), 1u);
}

// Undecided bytes are bounded, but a first proposal always fits, and leaving a joint configuration
// is never refused.
TEST(RegressionTest, UndecidedBytesAreBounded) {
  RaftOptions options = OneCore::Options();
  options.uncommitted_bytes_max = 10;
  OneCore node({1, 2, 3}, options);
  node.Lead();
  EXPECT_TRUE(node.core().Propose({MakeEntry(0, 0, std::string(50, 'a'))}).ok());
  EXPECT_EQ(node.core().Propose({MakeEntry(0, 0, "b")}).status().code(),
            absl::StatusCode::kResourceExhausted);
  node.Settle();
  node.Acknowledge(2, 2);
  node.Settle();
  EXPECT_TRUE(node.core().Propose({MakeEntry(0, 0, "b")}).ok());
}

// etcd#14624: the window of a peer is bounded in bytes, bodies included.
TEST(RegressionTest, WindowIsBoundedInBytes) {
  RaftOptions options = OneCore::Options();
  options.message_bytes_max = 100;
  options.inflight_bytes_max = 250;
  OneCore node({1, 2, 3}, options);
  node.Lead();
  node.Acknowledge(2, 1);
  node.Settle();
  size_t sent = 0;
  for (int i = 0; i < 10; ++i) {
    Entry entry = MakeEntry(0, 0, "");
    entry.bodies.push_back({std::make_shared<const std::string>(90, 'b'), 90, 0});
    ASSERT_TRUE(node.core().Propose({entry}).ok());
    for (const Message& message : node.Settle()) {
      if (message.to == NodeId(2) && !message.entries.empty()) ++sent;
    }
  }
  EXPECT_EQ(sent, 3u);  // The third passes 250 bytes; then it is full.
  EXPECT_TRUE(node.core().Status().progress.at(NodeId(2)).inflight_full);
}

// raft-rs#144, hashicorp#570: the target of a transfer disappears; the leader takes up its work
// after one election timeout.
TEST(RegressionTest, TransferToASilentNodeEnds) {
  OneCore node({1, 2, 3});
  node.Lead();
  node.Acknowledge(2, 1);
  node.Settle();
  ASSERT_TRUE(node.core().TransferLeadership(NodeId(2)).ok());
  EXPECT_TRUE(Sent(node.Settle(), MessageType::kTimeoutNow));
  EXPECT_EQ(node.core().Propose({MakeEntry(0, 0)}).status().code(), absl::StatusCode::kUnavailable);
  for (int i = 0; i < node.options().election_ticks; ++i) node.core().Tick();
  EXPECT_TRUE(node.core().Propose({MakeEntry(0, 0)}).ok());
  EXPECT_EQ(node.core().TransferLeadership(NodeId(9)).code(), absl::StatusCode::kInvalidArgument);
}

// The request to take over may be on its way for as long as it likes: all would vote for its
// receiver, whatever leases hold by then. A new term of the leader makes it one of the past.
TEST(RegressionTest, ALateRequestToTakeOverIsOutlivedByARenewedTerm) {
  OneCore node({1, 2, 3});
  EXPECT_FALSE(node.core().RenewTerm().ok());
  node.Lead();
  node.Acknowledge(2, 1);
  node.Settle();
  const Term term = node.core().term();
  ASSERT_TRUE(node.core().TransferLeadership(NodeId(2)).ok());
  EXPECT_TRUE(Sent(node.Settle(), MessageType::kTimeoutNow));
  EXPECT_FALSE(node.core().RenewTerm().ok()) << "node 2 is to take over";
  for (int i = 0; i < node.options().election_ticks; ++i) node.core().Tick();
  node.core().set_may_campaign(false);
  ASSERT_TRUE(node.core().RenewTerm().ok());
  EXPECT_EQ(node.core().role(), Role::kCandidate);
  bool asked = false;
  for (const Message& message : node.Settle()) {
    if (message.type != MessageType::kVote) continue;
    asked = true;
    EXPECT_EQ(message.term, term + 1);
    EXPECT_EQ(message.context, raft::kTransferContext);
  }
  EXPECT_TRUE(asked);
  ASSERT_TRUE(node.core().Step(From(3, MessageType::kVoteResponse, term + 1)).ok());
  EXPECT_EQ(node.core().role(), Role::kLeader);
}

// All its requests for votes got lost, and the others may not stand either.
TEST(RegressionTest, WhoRenewsItsTermStandsAgainUntilSomebodyLeads) {
  OneCore node({1, 2, 3});
  node.Lead();
  node.Acknowledge(2, 1);
  node.Settle();
  node.core().set_may_campaign(false);
  ASSERT_TRUE(node.core().RenewTerm().ok());
  for (int round = 0; round < 3; ++round) {
    const Term asked = node.core().term();
    node.Settle();
    for (int i = 0; i < 2 * node.options().election_ticks; ++i) node.core().Tick();
    EXPECT_GT(node.core().term(), asked) << "round " << round;
  }
  ASSERT_TRUE(node.core().Step(From(3, MessageType::kHeartbeat, node.core().term())).ok());
  EXPECT_EQ(node.core().role(), Role::kFollower);
  const Term led = node.core().term();
  for (int i = 0; i < 3 * node.options().election_ticks; ++i) node.core().Tick();
  EXPECT_EQ(node.core().term(), led);
  EXPECT_FALSE(node.core().Campaign().ok());
}

TEST(RegressionTest, ATermIsNotRenewedOverConfigurationsYetToBeApplied) {
  OneCore node({1, 2, 3});
  node.Lead();
  node.Acknowledge(2, 1);
  node.Settle();
  raft::ConfChange change;
  change.steps.push_back({raft::ConfChangeType::kAddLearner, NodeId(4)});
  ASSERT_TRUE(node.core().ProposeConfChange(change).ok());
  Ready ready = node.core().TakeReady();
  ASSERT_TRUE(ready.append.has_value());
  node.log().Write(*ready.append);
  (void)node.core().AppendDone(std::move(ready.append->responses));
  node.Acknowledge(2, 2);  // Committed, and nobody has applied it.
  EXPECT_FALSE(node.core().RenewTerm().ok());
  EXPECT_EQ(node.core().role(), Role::kLeader);
  node.Settle();
  EXPECT_TRUE(node.core().RenewTerm().ok());
}

TEST(RegressionTest, ALeaderMayResign) {
  OneCore node({1, 2, 3});
  EXPECT_EQ(node.core().Resign().code(), absl::StatusCode::kFailedPrecondition);
  node.Lead();
  node.Acknowledge(2, 1);
  node.Settle();
  const Term term = node.core().term();
  ASSERT_TRUE(node.core().TransferLeadership(NodeId(2)).ok());
  node.core().set_may_campaign(false);
  ASSERT_TRUE(node.core().Resign().ok());
  EXPECT_EQ(node.core().role(), Role::kFollower);
  EXPECT_EQ(node.core().term(), term);
  EXPECT_EQ(node.core().leader(), raft::kNoNode);
  EXPECT_FALSE(node.core().Propose({MakeEntry(0, 0)}).ok());
  for (int i = 0; i < 3 * node.options().election_ticks; ++i) node.core().Tick();
  EXPECT_EQ(node.core().term(), term) << "stands although it was told not to";
  node.core().set_may_campaign(true);
  for (int i = 0; i < 2 * node.options().election_ticks; ++i) node.core().Tick();
  EXPECT_GT(node.core().term(), term);
}

// Peers may not speak for a node's own storage.
TEST(RegressionTest, LocalMessagesAreRefusedFromPeers) {
  OneCore node({1, 2, 3});
  Message forged = From(2, MessageType::kAppendStored, 1);
  EXPECT_EQ(node.core().Step(forged).code(), absl::StatusCode::kInvalidArgument);
  forged.from = raft::kAppendWorker;
  EXPECT_EQ(node.core().Step(forged).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(node.core().Step(From(1, MessageType::kVoteResponse, 1)).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(node.core().Step(From(7, MessageType::kAppendResponse, 1)).code(),
            absl::StatusCode::kNotFound);
}

// A configuration entry that a snapshot overtook while it waited to be applied changes nothing.
TEST(RegressionTest, ConfigurationEntryOvertakenByASnapshot) {
  OneCore node({1, 2, 3});
  raft::ConfChange change;
  change.steps = {{raft::ConfChangeType::kRemove, NodeId(3)}};
  Entry entry = raft::EncodeConfChange(change);
  entry.index = 1;
  entry.term = 1;
  Message message = From(2, MessageType::kSnapshot, 1);
  raft::Snapshot snapshot{8, 1, {Nodes({1, 2, 4}), {}, {}, {}, false}, ""};
  message.snapshot = std::make_shared<const raft::Snapshot>(snapshot);
  ASSERT_TRUE(node.core().Step(message).ok());
  EXPECT_EQ(node.core().ApplyConfEntry(entry).voters, Nodes({1, 2, 4}));
}

}  // namespace
}  // namespace holdfast::raft_test
