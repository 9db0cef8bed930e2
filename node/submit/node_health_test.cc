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
  health.SetDiskFree(99);
  EXPECT_EQ(health.MayAccept().code(), absl::StatusCode::kResourceExhausted);
  health.SetDiskFree(100);
  EXPECT_TRUE(health.MayAccept().ok());
  health.SetStopping();
  EXPECT_EQ(health.MayAccept().code(), absl::StatusCode::kUnavailable);
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
