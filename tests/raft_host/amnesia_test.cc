// A store that went back to an earlier moment is found out by those who have its word.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/raft_host/host_cluster.h"

namespace holdfast::raft {
namespace {

GroupHostOptions WithGreetings() {
  GroupHostOptions options;
  options.greetings = true;
  return options;
}

class AmnesiaTest : public testing::Test {
 protected:
  explicit AmnesiaTest(uint64_t nodes = 3, GroupHostOptions options = WithGreetings())
      : cluster_(nodes, options) {
    leader_ = cluster_.AwaitLeader();
    for (NodeId node : cluster_.nodes()) {
      if (node != leader_) others_.push_back(node);
    }
  }

  void Propose(const std::string& command) {
    const ProposeResult result = cluster_.Propose(leader_, command);
    EXPECT_TRUE(result.status.ok()) << command << ": " << result.status;
  }
  bool InStep(NodeId node) {
    return cluster_.RunUntil([&] { return cluster_.InStep(node, leader_); });
  }
  bool FoundOut(NodeId node) const {
    const std::vector<absl::Status>& greeted = cluster_.greeted(node);
    return std::any_of(greeted.begin(), greeted.end(), [](const absl::Status& status) {
      return status.code() == absl::StatusCode::kDataLoss;
    });
  }
  // The node's disk goes back to before `command`, which it acknowledged.
  void Forget(NodeId node, const std::string& command) {
    ASSERT_TRUE(InStep(node));
    cluster_.Crash(node);
    cluster_.KeepDisk(node);
    cluster_.Restart(node);
    ASSERT_TRUE(InStep(node));
    Propose(command);
    ASSERT_TRUE(InStep(node));
    cluster_.Crash(node);
    cluster_.BringDiskBack(node);
  }
  // Messages from `node` that others rely on.
  void CountPromises(NodeId node) {
    cluster_.lose = [this, node](NodeId from, NodeId, const Message& message) {
      promises_ += from == node && (message.type == MessageType::kAppendResponse ||
                                    message.type == MessageType::kVoteResponse);
      return false;
    };
  }

  HostCluster cluster_;
  NodeId leader_;
  std::vector<NodeId> others_;
  int promises_ = 0;
};

TEST_F(AmnesiaTest, AStoreThatForgotIsFoundOutAndPromisesNothingMore) {
  const NodeId lost = others_[0];
  Propose("early");
  Forget(lost, "forgotten");
  CountPromises(lost);
  cluster_.Restart(lost);
  EXPECT_TRUE(FoundOut(lost));
  // Its vote and its word would make a majority without the entry.
  cluster_.CutOff(leader_);
  EXPECT_FALSE(cluster_.RunUntil(
      [&] { return cluster_.Leader() != leader_ && cluster_.Leader() != kNoNode; }));
  EXPECT_EQ(promises_, 0);
}

TEST_F(AmnesiaTest, AStoreThatOnlyWasAwayIsWelcome) {
  const NodeId away = others_[0];
  Propose("early");
  ASSERT_TRUE(InStep(away));
  cluster_.Crash(away);
  Propose("late");
  cluster_.Restart(away);
  EXPECT_FALSE(FoundOut(away));
  EXPECT_TRUE(InStep(away));
}

// Who knows of the promise is cut off at first: the vote must wait for its word, or its silence.
TEST_F(AmnesiaTest, NothingIsPromisedBeforeAllHaveGreetedOrAnElectionTimeoutIsOver) {
  const NodeId again = others_[0];
  Propose("early");
  ASSERT_TRUE(InStep(again));
  cluster_.Crash(again);
  cluster_.Cut(again, others_[1]);
  CountPromises(again);
  cluster_.Restart(again);
  Propose("late");
  for (int tick = 0; tick < WithGreetings().election_ticks / 2; ++tick) cluster_.Tick();
  EXPECT_EQ(promises_, 0);
  EXPECT_TRUE(InStep(again));
  EXPECT_GT(promises_, 0);
}

TEST_F(AmnesiaTest, OnceAllHaveGreetedItGoesOnAtOnce) {
  const NodeId again = others_[0];
  Propose("early");
  ASSERT_TRUE(InStep(again));
  cluster_.Crash(again);
  CountPromises(again);
  cluster_.Restart(again);
  Propose("late");
  for (int tick = 0; tick < WithGreetings().heartbeat_ticks + 2; ++tick) cluster_.Tick();
  EXPECT_GT(promises_, 0);
  EXPECT_FALSE(FoundOut(again));
}

class FiveNodesTest : public AmnesiaTest {
 protected:
  FiveNodesTest() : AmnesiaTest(5) {}
};

// A leader and one follower have entries that never were committed; the follower gives them up for
// a newer leader with a shorter log. The old leader still remembers: it accuses nobody.
TEST_F(FiveNodesTest, WhatANewerLeaderReplacedIsNoLoss) {
  const NodeId follower = others_[0];
  Propose("early");
  ASSERT_TRUE(InStep(follower));
  for (const NodeId other : others_) {
    if (other == follower) continue;
    cluster_.Cut(leader_, other);
    cluster_.Cut(follower, other);
  }
  const LogIndex before = cluster_.host(follower).Status(kGroup)->last;
  for (int i = 0; i < 20; ++i) {
    cluster_.host(leader_).Propose(kGroup, {holdfast::format("in vain {}", i), {}},
                                   [](const ProposeResult&) {});
  }
  cluster_.Settle();
  ASSERT_EQ(cluster_.host(follower).Status(kGroup)->last, before + 20);
  const NodeId old_leader = leader_;
  ASSERT_EQ(cluster_.host(old_leader).AcknowledgedBy(follower).back().index, before + 20);
  // Until the others have a leader, whose log the follower takes over.
  ASSERT_TRUE(cluster_.RunUntil(
      [&] { return cluster_.Leader() != kNoNode && cluster_.Leader() != old_leader; }));
  leader_ = cluster_.Leader();
  cluster_.Heal();
  cluster_.CutOff(old_leader);
  ASSERT_TRUE(cluster_.RunUntil([&] {
    const NodeId newest = cluster_.Leader();
    return newest != old_leader && newest != kNoNode && cluster_.InStep(follower, newest);
  }));
  ASSERT_LT(cluster_.host(follower).Status(kGroup)->last, before + 20);
  cluster_.Crash(follower);
  ASSERT_EQ(cluster_.host(old_leader).AcknowledgedBy(follower).back().index, before + 20);
  cluster_.Heal();
  cluster_.Restart(follower);
  for (const NodeId node : cluster_.nodes()) EXPECT_FALSE(FoundOut(node)) << node;
  leader_ = cluster_.AwaitLeader();
  EXPECT_TRUE(cluster_.RunUntil([&] {
    return cluster_.Leader() != kNoNode && cluster_.InStep(follower, cluster_.Leader());
  }));
}

class NeglectedTest : public AmnesiaTest {
 protected:
  static GroupHostOptions Neglected() {
    GroupHostOptions options = WithGreetings();
    options.mutation = HostMutation::kVoteWithAmnesia;
    return options;
  }
  NeglectedTest() : AmnesiaTest(3, Neglected()) {}
};

// The danger is real: unheeded, an entry that was answered is gone.
TEST_F(NeglectedTest, AVoteWithAmnesiaLosesWhatWasAnswered) {
  const NodeId lost = others_[0];
  const NodeId behind = others_[1];
  Propose("early");
  ASSERT_TRUE(InStep(behind));
  cluster_.CutOff(behind);
  Forget(lost, "forgotten");
  cluster_.Heal();
  cluster_.CutOff(leader_);
  cluster_.Restart(lost);
  ASSERT_TRUE(cluster_.RunUntil(
      [&] { return cluster_.Leader() != leader_ && cluster_.Leader() != kNoNode; }));
  EXPECT_EQ(cluster_.Row(cluster_.Leader(), "command forgotten"), "");
}

}  // namespace
}  // namespace holdfast::raft
