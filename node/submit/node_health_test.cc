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
