#include "node/cluster/load_shedding.h"

#include <gtest/gtest.h>

namespace holdfast::node {
namespace {

constexpr NodeId kOne{1};
constexpr NodeId kTwo{2};
constexpr NodeId kThree{3};
using Peers = std::map<NodeId, PeerLoad>;

// Led by node 1.
raft::GroupStatus Group(uint32_t id) {
  raft::GroupStatus status;
  status.group = GroupId{id};
  status.leading = true;
  status.leader = kOne;
  status.voters = {kOne, kTwo, kThree};
  status.commit = 5000;
  for (const NodeId node : status.voters) {
    status.members[node].match = 5000;
    status.members[node].active = true;
  }
  return status;
}

std::vector<raft::GroupStatus> Groups(uint32_t count) {
  std::vector<raft::GroupStatus> groups;
  for (uint32_t id = 1; id <= count; ++id) groups.push_back(Group(id));
  return groups;
}

LoadState Loaded(uint32_t permille) {
  LoadState state;
  state.permille = permille;
  state.overloaded = permille >= kOverloadedPermille;
  return state;
}

// Node 1, which has led its groups for long.
LoadShedding Old(const std::vector<raft::GroupStatus>& groups, LoadSheddingOptions options = {}) {
  LoadShedding shedding(kOne, options);
  EXPECT_TRUE(shedding.Next(groups, Loaded(0), {}, absl::ZeroDuration()).empty());
  return shedding;
}

TEST(LoadSheddingTest, TheLeastLoadedFollowerGetsAQuarterOfTheGroupsAtEachLook) {
  auto groups = Groups(8);
  LoadShedding shedding = Old(groups);
  const Peers peers{{kTwo, {300, true}}, {kThree, {100, true}}};
  auto moves = shedding.Next(groups, Loaded(1200), peers, absl::Seconds(100));
  ASSERT_EQ(moves.size(), 2u);
  EXPECT_EQ(moves[0].target, kThree);
  EXPECT_EQ(moves[1].target, kThree);
  // What was asked for and is still led here is not asked for again.
  moves = shedding.Next(groups, Loaded(1200), peers, absl::Seconds(101));
  ASSERT_EQ(moves.size(), 2u);
  EXPECT_EQ(moves[0].group, GroupId{3});
  EXPECT_EQ(moves[1].target, kThree);
  // Four groups just given to node 3 weigh: node 2 has its turn.
  moves = shedding.Next(groups, Loaded(1200), peers, absl::Seconds(102));
  ASSERT_EQ(moves.size(), 2u);
  EXPECT_EQ(moves[0].target, kTwo);
  EXPECT_EQ(moves[1].target, kThree);
}

TEST(LoadSheddingTest, NobodyThatIsLoadedNotMuchBetterBehindOrUnwillingGetsAnything) {
  auto groups = Groups(4);
  LoadShedding shedding = Old(groups);
  int second = 100;
  const auto nothing = [&](uint32_t own, const PeerLoad& peer) {
    return shedding.Next(groups, Loaded(own), {{kTwo, peer}, {kThree, peer}},
                         absl::Seconds(++second));
  };
  EXPECT_TRUE(nothing(1200, {100, false}).empty());
  EXPECT_TRUE(nothing(2000, {800, true}).empty());
  EXPECT_TRUE(nothing(1050, {760, true}).empty());
  EXPECT_TRUE(nothing(900, {0, true}).empty());
  for (raft::GroupStatus& group : groups) group.members[kTwo].match = 3999;
  for (raft::GroupStatus& group : groups) group.members[kThree].active = false;
  EXPECT_TRUE(nothing(1200, {100, true}).empty());
  for (raft::GroupStatus& group : groups) group.members[kTwo].match = 5000;
  const auto moves = nothing(1200, {100, true});
  ASSERT_EQ(moves.size(), 1u);
  EXPECT_EQ(moves[0].target, kTwo);
}

TEST(LoadSheddingTest, AGroupThatCameLatelyStays) {
  LoadShedding shedding(kOne, {});
  const Peers peers{{kTwo, {0, true}}};
  const auto groups = Groups(1);
  for (int second = 100; second < 160; ++second) {
    EXPECT_TRUE(shedding.Next(groups, Loaded(1500), peers, absl::Seconds(second)).empty());
  }
  EXPECT_EQ(shedding.Next(groups, Loaded(1500), peers, absl::Seconds(160)).size(), 1u);
}

TEST(LoadSheddingTest, AHandOverThatFailedIsTriedAgainAndTheNumberOfMovesIsBounded) {
  const auto groups = Groups(1);
  LoadShedding shedding = Old(groups, {.moves_max = 3});
  const Peers peers{{kTwo, {0, true}}};
  int moves = 0;
  for (int second = 100; second < 130; ++second) {
    moves +=
        static_cast<int>(shedding.Next(groups, Loaded(1500), peers, absl::Seconds(second)).size());
  }
  EXPECT_EQ(moves, 3);
  EXPECT_TRUE(shedding.Next(groups, Loaded(1500), peers, absl::Seconds(131)).empty());
  EXPECT_EQ(shedding.Next(groups, Loaded(1500), peers, absl::Seconds(161)).size(), 1u);
}

TEST(LoadSheddingTest, TurnedOffItMovesNothing) {
  const auto groups = Groups(4);
  LoadShedding shedding = Old(groups, {.enabled = false});
  EXPECT_TRUE(shedding.Next(groups, Loaded(1500), {{kTwo, {0, true}}}, absl::Seconds(100)).empty());
}

}  // namespace
}  // namespace holdfast::node
