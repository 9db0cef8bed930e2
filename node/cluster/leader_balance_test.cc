#include "node/cluster/leader_balance.h"

#include <gtest/gtest.h>

namespace holdfast::node {
namespace {

constexpr NodeId kOne{1};
constexpr NodeId kTwo{2};
constexpr NodeId kThree{3};

bool Anybody(NodeId) { return true; }

// Group 2, led by node 1, whose home is node 2.
raft::GroupStatus Group() {
  raft::GroupStatus status;
  status.group = GroupId{2};
  status.leading = true;
  status.leader = kOne;
  status.voters = {kThree, kOne, kTwo};
  status.commit = 5000;
  for (const NodeId node : status.voters) {
    status.members[node].match = 5000;
    status.members[node].active = true;
  }
  return status;
}

TEST(LeaderBalanceTest, HomesGoRound) {
  EXPECT_EQ(HomeOf(GroupId{1}, {kThree, kOne, kTwo}), kOne);
  EXPECT_EQ(HomeOf(GroupId{2}, {kThree, kOne, kTwo}), kTwo);
  EXPECT_EQ(HomeOf(GroupId{3}, {kThree, kOne, kTwo}), kThree);
  EXPECT_EQ(HomeOf(GroupId{12}, {kThree, kOne, kTwo}), kThree);
  EXPECT_EQ(HomeOf(GroupId{0}, {kThree, kOne, kTwo}), kThree);
  EXPECT_EQ(HomeOf(GroupId{1}, {}), NodeId{});
}

TEST(LeaderBalanceTest, AGroupGoesHomeOnceItsHomeWasFitForAWhile) {
  LeaderBalance balance(kOne, {});
  EXPECT_TRUE(balance.Next({Group()}, Anybody, absl::Seconds(100)).empty());
  EXPECT_TRUE(balance.Next({Group()}, Anybody, absl::Seconds(104)).empty());
  const auto moves = balance.Next({Group()}, Anybody, absl::Seconds(105));
  ASSERT_EQ(moves.size(), 1u);
  EXPECT_EQ(moves[0].group, GroupId{2});
  EXPECT_EQ(moves[0].target, kTwo);
}

TEST(LeaderBalanceTest, AFlappingHomeGetsNothing) {
  LeaderBalance balance(kOne, {});
  raft::GroupStatus away = Group();
  away.members[kTwo].active = false;
  for (int second = 0; second < 60; second += 4) {
    EXPECT_TRUE(balance.Next({Group()}, Anybody, absl::Seconds(second)).empty());
    EXPECT_TRUE(balance.Next({away}, Anybody, absl::Seconds(second + 2)).empty());
  }
}

TEST(LeaderBalanceTest, AHomeThatLagsOrIsBusyGetsNothing) {
  LeaderBalance balance(kOne, {});
  raft::GroupStatus lags = Group();
  lags.members[kTwo].match = 3999;
  for (int second = 0; second < 20; ++second) {
    EXPECT_TRUE(balance.Next({lags}, Anybody, absl::Seconds(second)).empty());
  }
  const auto busy = [](NodeId node) { return node != kTwo; };
  for (int second = 20; second < 40; ++second) {
    EXPECT_TRUE(balance.Next({Group()}, busy, absl::Seconds(second)).empty());
  }
}

TEST(LeaderBalanceTest, AGroupMovesOnceAMinute) {
  LeaderBalance balance(kOne, {});
  int moves = 0;
  for (int second = 0; second < 120; ++second) {
    moves += static_cast<int>(balance.Next({Group()}, Anybody, absl::Seconds(second)).size());
  }
  EXPECT_EQ(moves, 2);
  LeaderBalance told(kOne, {});
  told.OnMoved(GroupId{2}, absl::ZeroDuration());
  for (int second = 0; second < 60; ++second) {
    EXPECT_TRUE(told.Next({Group()}, Anybody, absl::Seconds(second)).empty());
  }
}

TEST(LeaderBalanceTest, WhatIsNotLedHereIsNotMoved) {
  LeaderBalance balance(kOne, {});
  raft::GroupStatus other = Group();
  other.leading = false;
  raft::GroupStatus leaving = Group();
  leaving.handing_over = true;
  raft::GroupStatus home = Group();
  home.group = GroupId{1};
  for (int second = 0; second < 20; ++second) {
    EXPECT_TRUE(balance.Next({other, home}, Anybody, absl::Seconds(second)).empty());
    EXPECT_TRUE(balance.Next({leaving}, Anybody, absl::Seconds(second)).empty());
  }
}

}  // namespace
}  // namespace holdfast::node
