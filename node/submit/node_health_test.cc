#include "node/submit/node_health.h"

#include <gtest/gtest.h>

namespace holdfast::node {
namespace {

TEST(NodeHealthTest, RefusesWithoutALeaderWithTheReason) {
  LeaderTable leaders(2);
  NodeHealth health(leaders, 100);
  EXPECT_EQ(health.MayAccept().code(), absl::StatusCode::kUnavailable);
  leaders.Set(GroupId{2}, true);
  EXPECT_TRUE(health.MayAccept().ok());
}

TEST(NodeHealthTest, FullDiskIsTemporaryAndRecoversByItself) {
  LeaderTable leaders(1);
  leaders.Set(GroupId{1}, true);
  NodeHealth health(leaders, 100);
  const auto look = [&health](uint64_t free_bytes) {
    health.disk().BeginLook();
    health.disk().EndLook(free_bytes, 0);
  };
  look(100 + 2 * kUndeclaredBytes - 1);
  EXPECT_EQ(health.MayAccept().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(health.MayAccept(1000).ok());  // A message of which we know that it is small.
  look(100 + 2 * kUndeclaredBytes);
  EXPECT_TRUE(health.MayAccept().ok());
  EXPECT_EQ(health.MayAccept(kUndeclaredBytes + 1).code(), absl::StatusCode::kResourceExhausted);
  health.SetStopping();
  EXPECT_EQ(health.MayAccept().code(), absl::StatusCode::kUnavailable);
}

TEST(NodeHealthTest, WithoutAStoreForWantOfSpaceTheAnswerIsStillInsufficientStorage) {
  LeaderTable leaders(1);
  NodeHealth health(leaders, 0);
  health.SetNoSpace(true);
  EXPECT_EQ(health.MayAccept().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(health.MayAccept(1).code(), absl::StatusCode::kResourceExhausted);
  health.SetNoSpace(false);
  EXPECT_EQ(health.MayAccept().code(), absl::StatusCode::kUnavailable);  // No leader yet.
}

TEST(NodeHealthTest, ADrainedNodeAndOneWithoutPolicyRefuseUntilThatIsOver) {
  LeaderTable leaders(1);
  leaders.Set(GroupId{1}, true);
  NodeHealth health(leaders, 100);
  health.SetDraining(true);
  EXPECT_EQ(health.MayAccept().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(Message(health.MayAccept()).find("drained"), std::string::npos);
  health.SetDraining(false);
  EXPECT_TRUE(health.MayAccept().ok());
  health.SetPolicyPending(true);
  EXPECT_EQ(health.MayAccept().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(Message(health.MayAccept()).find("policy"), std::string::npos);
  health.SetPolicyPending(false);
  EXPECT_TRUE(health.MayAccept().ok());
}

TEST(NodeHealthTest, ReasonsThatComeAndGoHaveTheirOwnAnswers) {
  LeaderTable leaders(1);
  leaders.Set(GroupId{1}, true);
  NodeHealth health(leaders, 100);
  health.SetOverloaded("fsync takes 900 ms", /*memory=*/false);
  EXPECT_EQ(health.MayAccept().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Message(health.MayAccept()), "this node is overloaded: fsync takes 900 ms");
  EXPECT_TRUE(health.MayStamp().ok());
  health.SetOverloaded("a memory budget is full", /*memory=*/true);
  EXPECT_EQ(health.MayAccept().code(), absl::StatusCode::kResourceExhausted);
  health.SetOverloaded("", /*memory=*/true);
  EXPECT_TRUE(health.MayAccept().ok());
  health.SetClusterSpaceShort("insufficient storage: 1 of 3 nodes");
  EXPECT_EQ(health.MayAccept(1).code(), absl::StatusCode::kResourceExhausted);
  health.SetClockOff("this node's clock is 45 s ahead");
  EXPECT_EQ(health.MayAccept().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(health.MayStamp().code(), absl::StatusCode::kUnavailable);
  health.SetClockOff("");
  health.SetClusterSpaceShort("");
  EXPECT_TRUE(health.MayAccept().ok());
  EXPECT_TRUE(health.MayStamp().ok());
}

TEST(LeaderTableTest, WithoutAGroupOfOurOwnOthersTakeTurns) {
  LeaderTable leaders(3);
  EXPECT_FALSE(leaders.AnyHasLeader());
  leaders.SetElsewhere(GroupId{2}, NodeId{7});
  leaders.SetElsewhere(GroupId{9}, NodeId{7});  // No such group: nothing happens.
  EXPECT_TRUE(leaders.AnyHasLeader());
  EXPECT_EQ(leaders.Next(), GroupId{2});
  leaders.SetElsewhere(GroupId{3}, NodeId{8});
  EXPECT_NE(leaders.Next(), leaders.Next());
  leaders.Set(GroupId{1}, true);  // Our own group comes first.
  for (int i = 0; i < 6; ++i) EXPECT_EQ(leaders.Next(), GroupId{1});
  leaders.Set(GroupId{1}, false);
  leaders.SetElsewhere(GroupId{2}, NodeId{});
  leaders.SetElsewhere(GroupId{3}, NodeId{});
  EXPECT_FALSE(leaders.AnyHasLeader());
  EXPECT_FALSE(leaders.Next().has_value());
}

TEST(LeaderTableTest, MessagesGoToTheGroupsLedHereInTurn) {
  LeaderTable leaders(3);
  EXPECT_FALSE(leaders.Next().has_value());
  leaders.Set(GroupId{1}, true);
  leaders.Set(GroupId{3}, true);
  leaders.Set(GroupId{9}, true);  // No such group: nothing happens.
  int first = 0;
  int third = 0;
  for (int i = 0; i < 30; ++i) {
    const std::optional<GroupId> group = leaders.Next();
    ASSERT_TRUE(group.has_value());
    first += *group == GroupId{1};
    third += *group == GroupId{3};
  }
  EXPECT_EQ(first + third, 30);
  EXPECT_GE(first, 10);
  EXPECT_GE(third, 10);
}

}  // namespace
}  // namespace holdfast::node
