// Changes of a group's members, through the host.
#include <gtest/gtest.h>

#include <algorithm>

#include "raft/core/confchange.h"
#include "tests/raft_host/host_cluster.h"

namespace holdfast::raft {
namespace {

constexpr NodeId kNew{4};

ConfChange Steps(std::vector<ConfChangeStep> steps) {
  ConfChange change;
  change.steps = std::move(steps);
  return change;
}

GroupHostOptions Options(uint64_t entries_kept) {
  GroupHostOptions options;
  options.log_entries_kept = entries_kept;
  options.snapshots.bytes_per_second = 0;
  return options;
}

class MembersTest : public testing::Test {
 protected:
  void Begin(uint64_t entries_kept) {
    cluster_ = std::make_unique<HostCluster>(3, Options(entries_kept));
    leader_ = cluster_->AwaitLeader();
    for (NodeId node : cluster_->nodes()) {
      if (node != leader_) follower_ = node;
    }
  }
  void Propose(int count) {
    for (int i = 0; i < count; ++i) {
      const std::string command = holdfast::format("command {}", proposed_++);
      const ProposeResult result = cluster_->Propose(leader_, command, {"body of " + command});
      ASSERT_TRUE(result.status.ok()) << result.status;
      results_.push_back(result);
    }
  }
  GroupStatus Status(NodeId node) { return *cluster_->host(node).Status(kGroup); }

  // A learner, caught up, promoted in place of a follower.
  void ReplaceFollower() {
    cluster_->AddNode(kNew);
    ProposeResult added = cluster_->Change(leader_, Steps({{ConfChangeType::kAddLearner, kNew}}));
    ASSERT_TRUE(added.status.ok()) << added.status;
    EXPECT_GT(added.index, 0u);
    ASSERT_TRUE(cluster_->RunUntil([&] { return cluster_->InStep(kNew, leader_); }));
    EXPECT_EQ(cluster_->machine(kNew).installed().size(), 1u);
    EXPECT_EQ(Status(kNew).learners, std::vector<NodeId>{kNew});
    EXPECT_EQ(Status(kNew).voters, Status(leader_).voters);
    EXPECT_TRUE(Status(leader_).members.at(kNew).learner);
    for (size_t i = 0; i < results_.size(); ++i) {
      EXPECT_EQ(cluster_->BodyAt(kNew, results_[i].index, results_[i].term),
                holdfast::format("body of command {}", i));
    }
    ProposeResult promoted = cluster_->Change(
        leader_, Steps({{ConfChangeType::kAddVoter, kNew}, {ConfChangeType::kRemove, follower_}}));
    ASSERT_TRUE(promoted.status.ok()) << promoted.status;
    std::vector<NodeId> voters;
    for (NodeId node : cluster_->nodes()) {
      if (node != follower_) voters.push_back(node);
    }
    ASSERT_TRUE(cluster_->RunUntil([&] {
      return Status(kNew).voters == voters && Status(kNew).voters_outgoing.empty() &&
             Status(leader_).voters_outgoing.empty();
    }));
    EXPECT_TRUE(Status(kNew).learners.empty());
  }

  std::unique_ptr<HostCluster> cluster_;
  NodeId leader_;
  NodeId follower_;
  int proposed_ = 0;
  std::vector<ProposeResult> results_;
};

TEST_F(MembersTest, ALearnerOnAnEmptyStoreIsCaughtUpAndPromoted) {
  Begin(/*entries_kept=*/8);
  Propose(40);
  ReplaceFollower();
  // It counts: with the removed one and another gone, it makes the majority.
  cluster_->Crash(follower_);
  for (NodeId node : cluster_->nodes()) {
    if (node != leader_ && node != kNew && node != follower_) cluster_->Crash(node);
  }
  Propose(3);
  EXPECT_TRUE(cluster_->RunUntil([&] { return cluster_->InStep(kNew, leader_); }));
}

// The log's first entries are all there, but who belonged to the group at its beginning is not in
// them: the new node must get a snapshot all the same.
TEST_F(MembersTest, ALearnerGetsASnapshotAlsoOfALogThatIsWhole) {
  Begin(/*entries_kept=*/10'000);
  Propose(5);
  EXPECT_EQ(Status(leader_).first, 1u);
  ReplaceFollower();
  Propose(3);
  EXPECT_TRUE(cluster_->RunUntil([&] { return cluster_->InStep(kNew, leader_); }));
}

TEST_F(MembersTest, ANextLeaderWithItsWholeLogGoesOnFromThere) {
  Begin(/*entries_kept=*/10'000);
  Propose(5);
  cluster_->AddNode(kNew);
  ASSERT_TRUE(cluster_->Change(leader_, Steps({{ConfChangeType::kAddLearner, kNew}})).status.ok());
  ASSERT_TRUE(cluster_->RunUntil([&] { return cluster_->InStep(kNew, leader_); }));
  // The next leader's log begins with the first entry still.
  cluster_->host(leader_).TransferLeadership(kGroup, follower_);
  ASSERT_TRUE(cluster_->RunUntil([&] { return cluster_->Leader() == follower_; }));
  leader_ = follower_;
  Propose(2);
  EXPECT_TRUE(cluster_->RunUntil([&] { return cluster_->InStep(kNew, leader_); }));
  EXPECT_EQ(cluster_->machine(kNew).installed().size(), 1u);
}

// A leader without another voter watches its learner's snapshot all the same.
TEST_F(MembersTest, ALoneVoterOffersItsLearnerAnotherSnapshotAfterALostOne) {
  cluster_ = std::make_unique<HostCluster>(1, Options(/*entries_kept=*/8));
  leader_ = cluster_->AwaitLeader();
  Propose(20);
  cluster_->AddNode(kNew);
  cluster_->pieces_per_tick = 1;
  ASSERT_TRUE(cluster_->Change(leader_, Steps({{ConfChangeType::kAddLearner, kNew}})).status.ok());
  ASSERT_TRUE(cluster_->RunUntil([&] { return cluster_->fetched().bodies > 0; }));
  // The pull fails, and nobody but the leader can begin another one.
  cluster_->CutOff(kNew);
  ASSERT_TRUE(cluster_->RunUntil([&] { return !Status(kNew).receiving_snapshot; }));
  cluster_->Heal();
  cluster_->pieces_per_tick.reset();
  EXPECT_TRUE(cluster_->RunUntil([&] { return cluster_->InStep(kNew, leader_); }));
}

TEST_F(MembersTest, ChangesAreRefusedWhereTheyDoNotFit) {
  Begin(/*entries_kept=*/8);
  const ConfChange add = Steps({{ConfChangeType::kAddLearner, kNew}});
  const ProposeResult elsewhere = cluster_->Change(follower_, add);
  EXPECT_EQ(elsewhere.status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(elsewhere.index, 0u);
  std::vector<ProposeResult> answers;
  for (int i = 0; i < 2; ++i) {
    cluster_->host(leader_).ProposeConfChange(
        kGroup, add, [&](const ProposeResult& result) { answers.push_back(result); });
  }
  std::optional<ProposeResult> unknown;
  cluster_->host(leader_).ProposeConfChange(GroupId(9), add,
                                            [&](const ProposeResult& result) { unknown = result; });
  ASSERT_TRUE(cluster_->RunUntil([&] { return answers.size() == 2 && unknown; }));
  EXPECT_EQ(unknown->status.code(), absl::StatusCode::kUnavailable);
  std::vector<absl::StatusCode> codes = {answers[0].status.code(), answers[1].status.code()};
  std::sort(codes.begin(), codes.end());
  EXPECT_EQ(codes,
            (std::vector<absl::StatusCode>{absl::StatusCode::kOk, absl::StatusCode::kAborted}));
  EXPECT_EQ(Status(leader_).learners, std::vector<NodeId>{kNew});
  EXPECT_EQ(Status(leader_).undecided_proposals, 0u);
  EXPECT_EQ(Status(leader_).undecided_bytes, 0u);
}

}  // namespace
}  // namespace holdfast::raft
