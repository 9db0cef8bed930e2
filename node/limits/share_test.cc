#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "node/limits/share_coordinator.h"
#include "node/limits/share_holder.h"

namespace holdfast::node {
namespace {

constexpr NodeId kA{1};
constexpr NodeId kB{2};
constexpr NodeId kC{3};
constexpr char kName[] = "a.test";

queue::DestinationLimits Limits(uint32_t connections, uint32_t messages = 0) {
  queue::DestinationLimits limits;
  limits.concurrency_max = connections;
  limits.rate_messages = messages;
  return limits;
}

// A coordinator of three voters, past its first lifetime unless told otherwise, and what it says.
class Desk {
 public:
  explicit Desk(uint32_t limit, absl::Duration since = -absl::Hours(1))
      : limits(Limits(limit)), coordinator(7, since, options) {
    coordinator.SetVoters({{kA}, {kB}, {kC}}, absl::ZeroDuration());
  }

  // Asks as a node that heard of the last grant; returns the connections granted.
  double Ask(NodeId node, double wanted, uint32_t open = 0) {
    Said& said = said_[node];
    ShareAsk ask{kName, said.term, said.grant, {said.keeps, 0}, {wanted, 0}, open};
    EXPECT_TRUE(coordinator.Begin(node, 1, ++said.sequence));
    const std::optional<ShareGrant> grant = coordinator.OnAsk(node, ask, limits, now);
    EXPECT_TRUE(grant);
    if (!lost) said = {grant->term, grant->grant, grant->share.connections, said.sequence};
    return grant->share.connections;
  }
  // It keeps to so much, by a grant of somebody else.
  void Keeps(NodeId node, double connections) { said_[node] = {6, 99, connections, 0}; }

  queue::DestinationLimits limits;
  ShareOptions options;
  ShareCoordinator coordinator;
  absl::Duration now = absl::Seconds(1000);
  bool lost = false;  // Answers don't arrive.

 private:
  struct Said {
    uint64_t term = 0;
    uint64_t grant = 0;
    double keeps = 1;
    uint64_t sequence = 0;
  };
  std::map<NodeId, Said> said_;
};

TEST(ShareAmountsTest, FloorAndFree) {
  EXPECT_EQ(FloorOf(Limits(20, 30), 3), (queue::Allowance{6, 10}));
  EXPECT_EQ(FreeOf(Limits(20, 30), 3), (queue::Allowance{1, 2.5}));
  EXPECT_EQ(FreeOf(Limits(100), 3).connections, 8);
  EXPECT_EQ(FloorOf(Limits(2), 3).connections, 1);
  EXPECT_EQ(FreeOf(Limits(2), 3).connections, 0);
}

TEST(ShareAmountsTest, EveryGroupCoordinatesSomething) {
  std::set<GroupId> groups;
  for (int i = 0; i < 200; ++i) groups.insert(CoordinatorGroup("d" + std::to_string(i), 12));
  EXPECT_EQ(groups.size(), 12u);
  EXPECT_EQ(*groups.begin(), GroupId{1});
  EXPECT_EQ(CoordinatorGroup("example.com", 12), CoordinatorGroup("example.com", 12));
}

TEST(ShareCoordinatorTest, WhoIsAloneGetsAllButWhatOthersUseWithoutAsking) {
  Desk desk(20);
  EXPECT_EQ(desk.Ask(kA, 50), 18);
  EXPECT_EQ(desk.Ask(kA, 3), 3);
}

TEST(ShareCoordinatorTest, ASilentNodeKeepsItsFloorUnlessItLeadsNothing) {
  Desk desk(20);
  desk.coordinator.SetVoters({{kA}, {kB, Presence::kSilent}, {kC, Presence::kGone}}, desk.now);
  EXPECT_EQ(desk.Ask(kA, 50), 13);
  // Back, it may be using its floor still, and has not come to say so.
  desk.coordinator.SetVoters({{kA}, {kB}, {kC}}, desk.now);
  EXPECT_EQ(desk.Ask(kA, 50), 13);
  EXPECT_EQ(desk.Ask(kB, 2), 2);
  EXPECT_EQ(desk.Ask(kA, 50), 17);
}

TEST(ShareCoordinatorTest, AShareTakenBackCountsUntilItsNodeSaysSo) {
  Desk desk(20);
  EXPECT_EQ(desk.Ask(kA, 20), 18);
  EXPECT_EQ(desk.Ask(kB, 20), 1);
  EXPECT_EQ(desk.Ask(kA, 20), 10);  // 19 for two; it has not said that it keeps to that.
  EXPECT_EQ(desk.Ask(kB, 20), 1);
  EXPECT_EQ(desk.Ask(kA, 20, 15), 10);  // It does, but has connections open.
  EXPECT_EQ(desk.Ask(kB, 20), 4);
  EXPECT_EQ(desk.Ask(kA, 20, 10), 10);
  EXPECT_EQ(desk.Ask(kB, 20), 9);
}

TEST(ShareCoordinatorTest, ALostAnswerCountsAsBoth) {
  Desk desk(20);
  EXPECT_EQ(desk.Ask(kA, 20), 18);
  EXPECT_EQ(desk.Ask(kB, 20), 1);
  desk.lost = true;
  EXPECT_EQ(desk.Ask(kA, 20), 10);
  EXPECT_EQ(desk.Ask(kA, 20), 10);
  EXPECT_EQ(desk.Ask(kB, 20), 1);
  desk.now += desk.options.lifetime;
  EXPECT_EQ(desk.Ask(kB, 20), 13);  // It may have gone to its floor.
  desk.coordinator.SetVoters({{kA, Presence::kGone}, {kB}, {kC}}, desk.now);
  EXPECT_EQ(desk.Ask(kB, 20), 18);
}

// It is heard, but its questions, or the answers, don't arrive.
TEST(ShareCoordinatorTest, WhoAsksInVainMayBeAtItsFloor) {
  Desk desk(20);
  EXPECT_EQ(desk.Ask(kA, 20), 18);
  EXPECT_EQ(desk.Ask(kB, 20), 1);
  EXPECT_EQ(desk.Ask(kC, 1), 1);
  desk.now += desk.options.lifetime;
  EXPECT_EQ(desk.Ask(kA, 20), 13);  // 6 for B, 1 for C, which wanted no more.
  EXPECT_EQ(desk.Ask(kB, 1), 1);
  EXPECT_EQ(desk.Ask(kA, 20), 18);
}

// Its beats come through long before its questions do.
TEST(ShareCoordinatorTest, WhoWasSilentKeepsItsFloorUntilItAsks) {
  Desk desk(20);
  desk.coordinator.SetVoters({{kA}, {kB, Presence::kSilent}, {kC}}, desk.now);
  desk.coordinator.SetVoters({{kA}, {kB}, {kC}}, desk.now);
  desk.now += 2 * desk.options.notice;
  EXPECT_EQ(desk.Ask(kA, 20), 13);
  EXPECT_EQ(desk.Ask(kB, 1), 1);
  EXPECT_EQ(desk.Ask(kA, 20), 18);
}

// Its questions come through, and no answer to them: between two of them it goes to its floor.
TEST(ShareCoordinatorTest, WhoHearsNoAnswersMayGoToItsFloor) {
  Desk desk(20);
  EXPECT_EQ(desk.Ask(kA, 2), 2);
  EXPECT_EQ(desk.Ask(kB, 20), 17);
  desk.lost = true;
  EXPECT_EQ(desk.Ask(kA, 2), 2);
  desk.now += desk.options.notice;
  EXPECT_EQ(desk.Ask(kA, 2), 2);
  desk.lost = false;
  EXPECT_EQ(desk.Ask(kB, 20), 13);
  EXPECT_EQ(desk.Ask(kA, 2), 2);
  EXPECT_EQ(desk.Ask(kA, 2), 2);
  EXPECT_EQ(desk.Ask(kB, 20), 17);
}

TEST(ShareCoordinatorTest, ANewCoordinatorGrantsNothingNewForALifetime) {
  Desk desk(20, absl::Seconds(998));
  desk.Keeps(kA, 15);
  EXPECT_EQ(desk.Ask(kA, 20), 15);
  EXPECT_EQ(desk.Ask(kB, 20), 1);
  desk.now += absl::Seconds(3);
  EXPECT_EQ(desk.Ask(kB, 20), 1);
  desk.now += absl::Seconds(2);
  EXPECT_EQ(desk.Ask(kA, 20, 15), 10);
  EXPECT_EQ(desk.Ask(kA, 20, 10), 10);
  EXPECT_EQ(desk.Ask(kB, 20), 9);
}

TEST(ShareCoordinatorTest, NobodyGetsMoreThanItWants) {
  Desk desk(20);
  desk.Ask(kA, 2);
  desk.Ask(kB, 5);
  EXPECT_EQ(desk.Ask(kC, 50), 13);
  EXPECT_EQ(desk.Ask(kA, 2), 2);
  EXPECT_EQ(desk.Ask(kB, 5), 5);
}

TEST(ShareCoordinatorTest, TooFewForAllGoAround) {
  Desk desk(1);
  std::set<NodeId> had;
  for (int second = 0; second < 120; ++second) {
    double granted = 0;
    for (const NodeId node : {kA, kB, kC}) {
      if (const double one = desk.Ask(node, 3); one > 0) {
        granted += one;
        had.insert(node);
      }
    }
    EXPECT_LE(granted, 1);
    desk.now += absl::Seconds(1);
  }
  EXPECT_EQ(had.size(), 3u);
}

TEST(ShareCoordinatorTest, OldAsksAndLivesArePassedOver) {
  Desk desk(20);
  EXPECT_TRUE(desk.coordinator.Begin(kA, 5, 3));
  EXPECT_FALSE(desk.coordinator.Begin(kA, 5, 3));
  EXPECT_FALSE(desk.coordinator.Begin(kA, 5, 2));
  EXPECT_TRUE(desk.coordinator.Begin(kA, 6, 1));
  const ShareAsk ask{kName, 0, 0, {1, 0}, {20, 0}, 0};
  ASSERT_TRUE(desk.coordinator.OnAsk(kA, ask, desk.limits, desk.now));
  EXPECT_TRUE(desk.coordinator.Begin(kA, 7, 1));
  EXPECT_EQ(desk.Ask(kB, 20), 18);  // The former life's grant is void.
}

TEST(ShareCoordinatorTest, DestinationsAreBoundedAndForgotten) {
  ShareOptions options;
  options.destinations_max = 2;
  ShareCoordinator coordinator(7, -absl::Hours(1), options);
  coordinator.SetVoters({{kA}, {kB}, {kC}}, absl::ZeroDuration());
  const auto ask = [&](const std::string& name, absl::Duration now) {
    return coordinator.OnAsk(kA, {name, 0, 0, {1, 0}, {20, 0}, 0}, Limits(20), now).has_value();
  };
  EXPECT_TRUE(ask("a", absl::Seconds(1)));
  EXPECT_TRUE(ask("b", absl::Seconds(5)));
  EXPECT_FALSE(ask("c", absl::Seconds(6)));
  EXPECT_TRUE(ask("a", absl::Seconds(6)));
  coordinator.Sweep(absl::Seconds(28));
  EXPECT_EQ(coordinator.destinations(), 2u);
  coordinator.Sweep(absl::Seconds(29));
  EXPECT_EQ(coordinator.destinations(), 1u);
}

class HolderTest : public ::testing::Test {
 protected:
  HolderTest() : holder_(ShareOptions()) { holder_.SetVoters(3); }
  double Allowed() const { return holder_.Allowed(kName, limits_).connections; }
  std::optional<ShareAsk> Ask(double wanted, uint32_t open = 0) {
    return holder_.Ask(kName, limits_, {open, {wanted, 0}});
  }
  void At(double second) { holder_.Advance(absl::Seconds(second)); }

  const queue::DestinationLimits limits_ = Limits(20);
  ShareHolder holder_;
};

TEST_F(HolderTest, AloneItHasAll) {
  holder_.SetVoters(1);
  EXPECT_EQ(Allowed(), 20);
  EXPECT_FALSE(Ask(50));
}

TEST_F(HolderTest, LittleCostsNoQuestion) {
  EXPECT_EQ(Allowed(), 1);
  EXPECT_FALSE(Ask(1, 1));
  EXPECT_TRUE(Ask(2, 1));
  EXPECT_EQ(Allowed(), 1);
}

// And for less long than its coordinator counts it.
TEST_F(HolderTest, AGrantCountsFromTheQuestionOn) {
  ASSERT_TRUE(Ask(20));
  At(1);
  holder_.OnGrant(absl::Seconds(0), {kName, 7, 1, {15, 0}});
  EXPECT_EQ(Allowed(), 15);
  EXPECT_EQ(holder_.grants(), 1u);
  At(4.7);
  EXPECT_EQ(Allowed(), 15);
  ASSERT_TRUE(Ask(20));
  At(4.8);
  EXPECT_EQ(Allowed(), 6);
}

TEST_F(HolderTest, LessThanTheFloorIsKeptUntilEverybodyKnows) {
  ASSERT_TRUE(Ask(20));
  holder_.OnGrant(absl::Seconds(0), {kName, 7, 1, {3, 0}});
  At(5);
  ASSERT_TRUE(Ask(20));
  At(6);
  EXPECT_EQ(Allowed(), 3);
  ASSERT_TRUE(Ask(20));
  At(11.2);
  EXPECT_EQ(Allowed(), 3);
  At(11.25);
  EXPECT_EQ(Allowed(), 6);
}

TEST_F(HolderTest, WithoutAnyAnswerItUsesItsFloor) {
  ASSERT_TRUE(Ask(20));
  At(4);
  ASSERT_TRUE(Ask(20));
  At(8);
  ASSERT_TRUE(Ask(20));
  At(11.2);
  EXPECT_EQ(Allowed(), 1);
  At(11.25);
  EXPECT_EQ(Allowed(), 6);
  EXPECT_EQ(Ask(20)->enforced.connections, 6);
}

// It asked, and then wanted nothing for long: nobody has been silent, so nobody has set its floor
// aside.
TEST_F(HolderTest, WhoStoppedAskingStartsAnew) {
  ASSERT_TRUE(Ask(20));
  At(5);
  ASSERT_TRUE(Ask(20));
  At(12);
  EXPECT_EQ(Allowed(), 1);
  ASSERT_TRUE(Ask(20));
  EXPECT_EQ(Allowed(), 1);
  holder_.OnGrant(absl::Seconds(12), {kName, 7, 1, {15, 0}});
  At(18);
  holder_.Sweep();
  EXPECT_EQ(Allowed(), 1);
}

TEST_F(HolderTest, OlderGrantsAndTermsArePassedOver) {
  ASSERT_TRUE(Ask(20));
  holder_.OnGrant(absl::Seconds(0), {kName, 7, 5, {10, 0}});
  holder_.OnGrant(absl::Seconds(0), {kName, 7, 4, {11, 0}});
  holder_.OnGrant(absl::Seconds(0), {kName, 6, 9, {12, 0}});
  EXPECT_EQ(Allowed(), 10);
  holder_.OnGrant(absl::Seconds(0), {kName, 8, 1, {13, 0}});
  EXPECT_EQ(Allowed(), 13);
}

TEST_F(HolderTest, WhoWantsLittleGivesItsShareBack) {
  ASSERT_TRUE(Ask(20));
  holder_.OnGrant(absl::Seconds(0), {kName, 7, 1, {15, 0}});
  At(1);
  const std::optional<ShareAsk> ask = Ask(1, 1);
  ASSERT_TRUE(ask);
  EXPECT_EQ(ask->wanted.connections, 1);
  holder_.OnGrant(absl::Seconds(1), {kName, 7, 2, {1, 0}});
  EXPECT_FALSE(Ask(1, 1));
  EXPECT_EQ(Allowed(), 1);
  EXPECT_EQ(holder_.grants(), 0u);
}

}  // namespace
}  // namespace holdfast::node
