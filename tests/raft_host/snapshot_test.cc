// Replicas that lag behind their leader's log are caught up by snapshots.
#include <gtest/gtest.h>

#include "raft/host/snapshot_codec.h"
#include "tests/raft_host/host_cluster.h"

namespace holdfast::raft {
namespace {

GroupHostOptions ShortLogs() {
  GroupHostOptions options;
  options.log_entries_kept = 8;
  options.snapshots.bytes_per_second = 0;
  options.snapshots.piece_bytes_max = 200;
  options.snapshots.rows_bytes = 150;
  options.snapshots.request_keys_max = 4;
  return options;
}

class SnapshotTest : public testing::Test {
 protected:
  SnapshotTest() : SnapshotTest(ShortLogs()) {}
  explicit SnapshotTest(GroupHostOptions options) : cluster_(3, options) {
    leader_ = cluster_.AwaitLeader();
    for (NodeId node : cluster_.nodes()) {
      if (node == leader_) continue;
      (away_ == kNoNode ? away_ : present_) = node;
    }
  }

  ProposeResult Propose(const std::string& command, std::vector<std::string> bodies = {}) {
    const ProposeResult result = cluster_.Propose(leader_, command, std::move(bodies));
    EXPECT_TRUE(result.status.ok()) << command << ": " << result.status;
    return result;
  }
  // Bodies that live, named after `name`.
  std::vector<ProposeResult> ProposeBodies(const std::string& name, int count) {
    std::vector<ProposeResult> results;
    for (int i = 0; i < count; ++i) {
      const std::string command = holdfast::format("{} {:03}", name, i);
      results.push_back(Propose(command, {"the body of " + command}));
    }
    return results;
  }
  void ProposeMany(const std::string& name, int count) {
    for (int i = 0; i < count; ++i) Propose(holdfast::format("{} {:03}", name, i));
  }
  void End(const ProposeResult& result) {
    Propose(holdfast::format("end {} {}", result.index, result.term));
  }

  // Cuts `away_` off, proposes that many bodies, and so much more that it needs a snapshot.
  std::vector<ProposeResult> LeaveBehind(int bodies) {
    const LogIndex had = Status(away_).last;
    cluster_.CutOff(away_);
    std::vector<ProposeResult> results = ProposeBodies("late", bodies);
    ProposeMany("more", 30);
    EXPECT_TRUE(cluster_.RunUntil(
        [&] { return Status(leader_).first > had + 1 && Status(present_).first > had + 1; }));
    return results;
  }
  // Heals, and waits until bodies are being fetched.
  void ReachTheBodies() {
    cluster_.pieces_per_tick = 4;
    cluster_.Heal();
    ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.fetched().bodies > 0; }));
    ASSERT_TRUE(Status(away_).receiving_snapshot);
  }

  GroupStatus Status(NodeId node) { return *cluster_.host(node).Status(kGroup); }
  bool CatchesUp() {
    return cluster_.RunUntil([&] {
      const NodeId leader = cluster_.Leader();
      return leader != kNoNode && cluster_.InStep(away_, leader);
    });
  }
  void ExpectBodies(const std::vector<ProposeResult>& results, const std::string& name) {
    for (size_t i = 0; i < results.size(); ++i) {
      EXPECT_EQ(cluster_.BodyAt(away_, results[i].index, results[i].term),
                holdfast::format("the body of {} {:03}", name, i));
    }
  }

  HostCluster cluster_;
  NodeId leader_;
  NodeId away_ = kNoNode;
  NodeId present_;
};

TEST_F(SnapshotTest, AFollowerAwayBeyondTheLogCatchesUp) {
  const std::vector<ProposeResult> early = ProposeBodies("early", 3);
  const std::vector<ProposeResult> late = LeaveBehind(10);
  cluster_.Heal();
  ASSERT_TRUE(CatchesUp());
  EXPECT_EQ(cluster_.machine(away_).installed().size(), 1u);
  EXPECT_FALSE(Status(away_).receiving_snapshot);
  EXPECT_GT(Status(away_).first, late.back().index);
  EXPECT_EQ(Status(away_).voters, cluster_.nodes());
  ExpectBodies(early, "early");
  ExpectBodies(late, "late");
  // And it goes on, also after a power cut.
  ProposeBodies("after", 2);
  ASSERT_TRUE(CatchesUp());
  cluster_.Crash(away_);
  cluster_.Restart(away_);
  ASSERT_TRUE(CatchesUp());
  EXPECT_TRUE(cluster_.machine(away_).installed().empty());
  ExpectBodies(late, "late");
}

TEST_F(SnapshotTest, BodiesThatAreHereAreNotFetchedAgain) {
  const std::vector<ProposeResult> early = ProposeBodies("early", 10);
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.InStep(away_, leader_); }));
  LeaveBehind(5);
  cluster_.Heal();
  ASSERT_TRUE(CatchesUp());
  EXPECT_EQ(cluster_.fetched().rows, 1u);
  EXPECT_EQ(cluster_.fetched().bodies, 5u);
  ExpectBodies(early, "early");
}

TEST_F(SnapshotTest, WhatTheNewRowsDoNotListIsRemoved) {
  const std::vector<ProposeResult> early = ProposeBodies("early", 3);
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.InStep(away_, leader_); }));
  cluster_.CutOff(away_);
  End(early[1]);
  cluster_.Heal();
  cluster_.CutOff(away_);
  LeaveBehind(2);
  EXPECT_EQ(cluster_.BodyAt(away_, early[1].index, early[1].term), "the body of early 001");
  cluster_.Heal();
  ASSERT_TRUE(CatchesUp());
  ASSERT_TRUE(cluster_.RunUntil([&] { return !cluster_.store(away_).GarbagePending(kGroup); }));
  EXPECT_EQ(cluster_.BodyAt(away_, early[0].index, early[0].term), "the body of early 000");
  EXPECT_EQ(cluster_.BodyAt(away_, early[1].index, early[1].term), "NOT_FOUND");
}

TEST_F(SnapshotTest, BodiesThatEndMeanwhileAreElided) {
  const std::vector<ProposeResult> late = LeaveBehind(20);
  ReachTheBodies();
  End(late[18]);
  End(late[19]);
  cluster_.pieces_per_tick.reset();
  ASSERT_TRUE(CatchesUp());
  EXPECT_EQ(cluster_.machine(away_).installed().size(), 1u);
  // The snapshot is of an earlier moment: its rows list them, and what ends them came in the log.
  EXPECT_LT(cluster_.machine(away_).installed()[0], Status(leader_).applied - 1);
  EXPECT_EQ(cluster_.BodyAt(away_, late[19].index, late[19].term), "NOT_FOUND");
  EXPECT_EQ(cluster_.BodyAt(away_, late[17].index, late[17].term), "the body of late 017");
  EXPECT_GT(cluster_.store(away_).LoadGroup(kGroup)->elided_through, late[19].index);
}

TEST_F(SnapshotTest, ProposalsGoOnMeanwhile) {
  const std::vector<ProposeResult> late = LeaveBehind(20);
  ReachTheBodies();
  ProposeBodies("meanwhile", 30);
  EXPECT_TRUE(Status(away_).receiving_snapshot);
  cluster_.pieces_per_tick.reset();
  ASSERT_TRUE(CatchesUp());
  EXPECT_EQ(cluster_.fetched().rows, 1u);
  ExpectBodies(late, "late");
}

// More than a leader keeps for whoever pulls.
TEST_F(SnapshotTest, ALogThatWentOnWithoutThePulledSnapshotLeadsToAnother) {
  const std::vector<ProposeResult> late = LeaveBehind(20);
  ReachTheBodies();
  ProposeMany("meanwhile", 120);
  ASSERT_GT(Status(leader_).first, late.back().index + 40);
  cluster_.pieces_per_tick.reset();
  // At the next heartbeat, and not only when the leader loses patience.
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.InStep(away_, leader_); }, 20));
  EXPECT_EQ(cluster_.machine(away_).installed().size(), 2u);
  ExpectBodies(late, "late");
}

TEST_F(SnapshotTest, ASourceThatDiesIsFollowedByAnotherLeader) {
  const std::vector<ProposeResult> late = LeaveBehind(40);
  ReachTheBodies();
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.fetched().bodies >= 20; }));
  cluster_.Crash(leader_);
  cluster_.pieces_per_tick.reset();
  ASSERT_TRUE(CatchesUp());
  EXPECT_EQ(cluster_.Leader(), present_);
  EXPECT_EQ(cluster_.fetched().rows, 2u);
  // What the first pull fetched stayed: at most its last request was asked for twice.
  EXPECT_LE(cluster_.fetched().bodies, 40u + ShortLogs().snapshots.request_keys_max);
  ExpectBodies(late, "late");
}

TEST_F(SnapshotTest, AReceiverThatRestartsBeginsAgain) {
  const std::vector<ProposeResult> late = LeaveBehind(20);
  ReachTheBodies();
  cluster_.Crash(away_);
  cluster_.pieces_per_tick.reset();
  cluster_.Restart(away_);
  EXPECT_FALSE(Status(away_).receiving_snapshot);
  ASSERT_TRUE(CatchesUp());
  ExpectBodies(late, "late");
}

TEST_F(SnapshotTest, ALeaderThatChangesOffersAnotherOne) {
  const std::vector<ProposeResult> late = LeaveBehind(40);
  ReachTheBodies();
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.fetched().bodies >= 20; }));
  cluster_.host(leader_).TransferLeadership(kGroup, present_);
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.Leader() == present_; }));
  cluster_.pieces_per_tick.reset();
  ASSERT_TRUE(CatchesUp());
  EXPECT_EQ(cluster_.machine(away_).installed().size(), 1u);
  EXPECT_LE(cluster_.fetched().bodies, 40u + ShortLogs().snapshots.request_keys_max);
  ExpectBodies(late, "late");
}

TEST_F(SnapshotTest, AnOldSnapshotChangesNothing) {
  ProposeBodies("early", 3);
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.InStep(away_, leader_); }));
  const auto rows = cluster_.Rows(away_);
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->index = 2;
  snapshot->term = Status(leader_).term;
  snapshot->conf_state.voters = cluster_.nodes();
  Message message;
  message.type = MessageType::kSnapshot;
  message.to = away_;
  message.from = leader_;
  message.term = Status(leader_).term;
  message.snapshot = snapshot;
  const uint64_t answers = cluster_.sent(MessageType::kAppendResponse);
  cluster_.host(away_).Receive(kGroup, message);
  cluster_.Settle();
  EXPECT_EQ(cluster_.sent(MessageType::kAppendResponse), answers + 1);
  EXPECT_EQ(cluster_.fetched().rows, 0u);
  EXPECT_EQ(cluster_.Rows(away_), rows);
  EXPECT_TRUE(cluster_.machine(away_).installed().empty());
}

// The stored log has the snapshot's last entry, but what the core was told since replaces it.
TEST_F(SnapshotTest, AnEntryThatIsBeingReplacedIsNotTakenForTheSnapshots) {
  ProposeBodies("early", 3);
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.InStep(away_, leader_); }));
  const GroupStatus before = Status(away_);
  Message append;
  append.type = MessageType::kAppend;
  append.to = away_;
  append.from = leader_;
  append.term = before.term;
  append.index = before.last;
  append.log_term = before.term;
  append.entries.push_back({.index = before.last + 1, .term = before.term, .command = "one"});
  cluster_.host(away_).Receive(kGroup, append);
  cluster_.Settle();
  ASSERT_EQ(Status(away_).last, before.last + 1);
  append.from = present_;
  append.term = before.term + 1;
  append.entries[0].term = before.term + 1;
  append.entries[0].command = "two";
  Message offer;
  offer.type = MessageType::kSnapshot;
  offer.to = away_;
  offer.from = leader_;
  offer.term = before.term + 2;
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->index = before.last + 1;
  snapshot->term = before.term;
  snapshot->conf_state.voters = cluster_.nodes();
  offer.snapshot = snapshot;
  cluster_.host(away_).Receive(kGroup, append);
  cluster_.host(away_).Receive(kGroup, offer);
  cluster_.Settle();
  EXPECT_EQ(cluster_.fetched().rows, 1u);
  EXPECT_TRUE(cluster_.machine(away_).installed().empty());
  EXPECT_TRUE(CatchesUp());
}

TEST_F(SnapshotTest, AnOfferThatGetsLostIsRepeated) {
  LeaveBehind(3);
  int lost = 0;
  cluster_.lose = [&](NodeId, NodeId, const Message& message) {
    return message.type == MessageType::kSnapshot && lost++ < 3;
  };
  cluster_.Heal();
  EXPECT_TRUE(CatchesUp());
  EXPECT_GT(lost, 3);
}

TEST_F(SnapshotTest, APullThatTakesLongIsNotGivenUp) {
  LeaveBehind(20);
  ReachTheBodies();
  cluster_.pieces_per_tick = 0;
  const uint64_t offers = cluster_.sent(MessageType::kSnapshot);
  for (int tick = 0; tick < 600; ++tick) cluster_.Tick();
  EXPECT_GT(cluster_.fetched().waiting, 20u);
  EXPECT_EQ(cluster_.sent(MessageType::kSnapshot), offers);
  cluster_.pieces_per_tick.reset();
  EXPECT_TRUE(CatchesUp());
  EXPECT_EQ(cluster_.fetched().rows, 1u);
}

TEST_F(SnapshotTest, ALeaderLosesPatienceWithAPeerThatPullsNothing) {
  LeaveBehind(3);
  cluster_.hold_fetches = true;
  cluster_.Heal();
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.sent(MessageType::kSnapshot) == 1; }));
  for (int tick = 0; tick < 190; ++tick) cluster_.Tick();
  EXPECT_EQ(cluster_.sent(MessageType::kSnapshot), 1u);
  for (int tick = 0; tick < 30; ++tick) cluster_.Tick();
  EXPECT_EQ(cluster_.sent(MessageType::kSnapshot), 2u);
  cluster_.hold_fetches = false;
  EXPECT_TRUE(CatchesUp());
  EXPECT_EQ(cluster_.fetched().rows, 1u);
}

TEST_F(SnapshotTest, GroupsTakeTurns) {
  LeaveBehind(10);
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.Leader(kControl) != kNoNode; }));
  for (int i = 0; i < 30; ++i) {
    std::optional<ProposeResult> answer;
    const NodeId leader = cluster_.Leader(kControl);
    cluster_.host(leader).Propose(kControl, {holdfast::format("control {}", i), {}},
                                  [&](const ProposeResult& result) { answer = result; });
    ASSERT_TRUE(cluster_.RunUntil([&] { return answer.has_value(); }));
    ASSERT_TRUE(answer->status.ok()) << answer->status;
  }
  cluster_.pieces_per_tick = 1;
  cluster_.Heal();
  const auto receives = [&](GroupId group) {
    return cluster_.host(away_).Status(group)->receiving_snapshot;
  };
  ASSERT_TRUE(cluster_.RunUntil([&] { return receives(kControl) && receives(kGroup); }));
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.fetched().waiting >= 2; }));
  EXPECT_EQ(cluster_.fetched().rows, 1u);
  cluster_.pieces_per_tick.reset();
  ASSERT_TRUE(CatchesUp());
  EXPECT_TRUE(cluster_.RunUntil([&] {
    const NodeId leader = cluster_.Leader(kControl);
    return leader != kNoNode && cluster_.host(away_).Status(kControl)->applied ==
                                    cluster_.host(leader).Status(kControl)->applied;
  }));
  EXPECT_EQ(cluster_.fetched().rows, 2u);
}

TEST_F(SnapshotTest, NobodyKnowsAnUnknownGroup) {
  Message message;
  message.type = MessageType::kSnapshot;
  message.from = leader_;
  message.to = away_;
  message.term = 1;
  message.snapshot = std::make_shared<const Snapshot>();
  cluster_.host(away_).Receive(GroupId(9), message);
  cluster_.Settle();
  EXPECT_FALSE(cluster_.host(away_).Status(GroupId(9)).has_value());
  const auto open = [&](const SnapshotRequest& request) {
    return cluster_.host(leader_).OpenFetch(away_, EncodeSnapshotRequest(request)).status().code();
  };
  EXPECT_EQ(open(RowsRequest{GroupId(9)}), absl::StatusCode::kNotFound);
  EXPECT_EQ(open(BodiesRequest{GroupId(9), {{GroupId(9), 1, 1, 0}}}), absl::StatusCode::kNotFound);
  EXPECT_EQ(open(WaitingRequest{{GroupId(9)}}), absl::StatusCode::kOk);
  EXPECT_EQ(cluster_.host(leader_).OpenFetch(away_, "nonsense").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(SnapshotTest, OnlySoManySourcesAreOpen) {
  ProposeBodies("early", 1);
  std::vector<std::unique_ptr<FetchSource>> open;
  const std::string request = EncodeSnapshotRequest(RowsRequest{kGroup});
  for (uint32_t i = 0; i < ShortLogs().snapshots.sources_max; ++i) {
    auto source = cluster_.host(leader_).OpenFetch(away_, request);
    ASSERT_TRUE(source.ok()) << source.status();
    open.push_back(*std::move(source));
  }
  EXPECT_EQ(cluster_.host(leader_).OpenFetch(away_, request).status().code(),
            absl::StatusCode::kResourceExhausted);
  open.pop_back();
  EXPECT_TRUE(cluster_.host(leader_).OpenFetch(away_, request).ok());
}

TEST_F(SnapshotTest, ABodyThatIsNeitherHereNorEndedIsNotCalledElided) {
  ProposeBodies("early", 1);
  const BodyKey unknown{kGroup, Status(leader_).applied + 5, 1, 0};
  auto source = cluster_.host(leader_).OpenFetch(
      away_, EncodeSnapshotRequest(BodiesRequest{kGroup, {unknown}}));
  ASSERT_TRUE(source.ok());
  EXPECT_EQ((*source)->Next().status().code(), absl::StatusCode::kUnavailable);
}

// A leader that was cut off has proposals that its successor's snapshot may hold, or not.
class OvertakenTest : public SnapshotTest {
 protected:
  OvertakenTest()
      : SnapshotTest([] {
          GroupHostOptions options = ShortLogs();
          options.commit_timeout = absl::Seconds(600);
          return options;
        }()) {}
};

TEST_F(OvertakenTest, TheOutcomeOfItsProposalsIsUnknown) {
  ProposeBodies("early", 2);
  cluster_.CutOff(leader_);
  std::optional<ProposeResult> answer;
  cluster_.host(leader_).Propose(kGroup, {"lost", {}},
                                 [&](const ProposeResult& result) { answer = result; });
  std::swap(leader_, away_);
  ASSERT_TRUE(cluster_.RunUntil([&] {
    leader_ = cluster_.Leader();
    return leader_ != kNoNode && leader_ != away_;
  }));
  EXPECT_FALSE(answer.has_value());
  ProposeMany("more", 30);
  cluster_.Heal();
  ASSERT_TRUE(CatchesUp());
  EXPECT_EQ(cluster_.machine(away_).installed().size(), 1u);
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(Status(away_).undecided_proposals, 0u);
}

// Found by the simulation: entries committed together are applied in several jobs, and the log was
// truncated behind the first of them, while the core could still ask for the rest.
TEST(TruncationTest, TheLogReachesBackToWhatTheCoreKnowsToBeApplied) {
  GroupHostOptions options;
  options.log_entries_kept = 2;
  options.apply_batch_entries_max = 1;
  HostCluster cluster(3, options);
  const NodeId leader = cluster.AwaitLeader();
  int answered = 0;
  for (int i = 0; i < 40; ++i) {
    cluster.host(leader).Propose(kGroup, Proposal{holdfast::format("x{}", i), {}},
                                 [&answered](const ProposeResult& result) {
                                   EXPECT_TRUE(result.status.ok()) << result.status;
                                   ++answered;
                                 });
  }
  EXPECT_TRUE(cluster.RunUntil([&] { return answered == 40; }));
  EXPECT_TRUE(cluster.RunUntil([&] {
    const GroupStatus status = *cluster.host(leader).Status(kGroup);
    return status.first > status.applied - 10;  // It was truncated, all the same.
  }));
}

}  // namespace
}  // namespace holdfast::raft
