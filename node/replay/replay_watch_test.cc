#include "node/replay/replay_watch.h"

#include <gtest/gtest.h>

namespace holdfast::node {
namespace {

constexpr NodeId kPeer{2};
constexpr absl::Duration kWindow = absl::Minutes(15);

absl::Duration At(double seconds) { return absl::Seconds(seconds); }

class ReplayWatchTest : public testing::Test {
 protected:
  void Beat(double at, int64_t life = 1) { watch_.OnBeat(kPeer, life, std::nullopt, At(at)); }
  bool MustAsk(double at) const { return watch_.MustAsk(At(at), kWindow); }

  ReplayWatch watch_{absl::Seconds(2)};
};

TEST_F(ReplayWatchTest, AHealthyClusterAsksNothing) {
  EXPECT_FALSE(MustAsk(0));
  for (int second = 0; second < 100; ++second) {
    Beat(second);
    EXPECT_FALSE(MustAsk(second + 0.99));
  }
}

TEST_F(ReplayWatchTest, APeerNeverHeardIsNoLoss) {
  watch_.OnUnreachable(kPeer, At(1));
  EXPECT_FALSE(MustAsk(1));
}

TEST_F(ReplayWatchTest, ASilentPeerIsAskedAboutUntilAllIsForgotten) {
  Beat(10);
  EXPECT_FALSE(MustAsk(12));
  EXPECT_TRUE(MustAsk(12.1));
  EXPECT_TRUE(MustAsk(10 + 899));
  EXPECT_FALSE(MustAsk(10 + 900));
}

TEST_F(ReplayWatchTest, ALostConnectionCountsAtOnceAndABeatOfTheSameLifeClearsIt) {
  Beat(10);
  watch_.OnUnreachable(kPeer, At(10.2));
  EXPECT_TRUE(MustAsk(10.2));
  Beat(11);
  EXPECT_FALSE(MustAsk(11));
}

TEST_F(ReplayWatchTest, APausedPeerTellsItselfWhatIsUnsettled) {
  Beat(10);
  EXPECT_TRUE(MustAsk(15));
  Beat(16);
  EXPECT_FALSE(MustAsk(16));
  watch_.OnBeat(kPeer, 1, absl::Seconds(1), At(17));
  EXPECT_TRUE(MustAsk(17));
  EXPECT_TRUE(MustAsk(16 + 899));
  for (int second = 18; second < 16 + 900; ++second) Beat(second);
  Beat(16 + 900);
  EXPECT_FALSE(MustAsk(16 + 900));
}

// Faster than the silence could be noticed.
TEST_F(ReplayWatchTest, ARestartedPeerHasForgotten) {
  Beat(10, 1);
  Beat(11, 2);
  EXPECT_TRUE(MustAsk(11));
  Beat(12, 2);
  EXPECT_TRUE(MustAsk(12));
  for (int second = 13; second <= 911; ++second) Beat(second, 2);
  EXPECT_FALSE(MustAsk(911));
}

TEST_F(ReplayWatchTest, ThisNodesOwnPastCounts) {
  watch_.OnRestart(At(5));
  EXPECT_TRUE(MustAsk(5));
  EXPECT_FALSE(MustAsk(905));
  EXPECT_EQ(watch_.UnsettledAgo(At(905)), std::nullopt);
  watch_.OnUnsettled(At(1000));
  EXPECT_TRUE(MustAsk(1000));
  EXPECT_EQ(watch_.UnsettledAgo(At(1003)), At(3));
  EXPECT_FALSE(MustAsk(1900));
}

// What a peer said of another one is not passed on, or it would never end.
TEST_F(ReplayWatchTest, OthersTroublesAreNotToldAsOurs) {
  watch_.OnBeat(kPeer, 1, absl::ZeroDuration(), At(10));
  EXPECT_TRUE(MustAsk(10));
  EXPECT_EQ(watch_.UnsettledAgo(At(10)), std::nullopt);
}

// Its clients may offer again what it had taken, and it can't say so any more: it may have been
// replaced because it died.
TEST_F(ReplayWatchTest, AfterAPeerWasRemovedItIsAskedForAWindow) {
  watch_.KeepOnly({kPeer, NodeId{3}}, At(9));
  Beat(10);
  EXPECT_FALSE(MustAsk(10));
  watch_.KeepOnly({NodeId{3}}, At(11));
  EXPECT_TRUE(MustAsk(11));
  watch_.KeepOnly({NodeId{3}}, At(12));
  EXPECT_TRUE(watch_.MustAsk(At(20), absl::Seconds(10)));
  EXPECT_FALSE(watch_.MustAsk(At(21), absl::Seconds(10)));
}

// A node that joins speaks before it is in the list, and one that was removed until it is stopped.
TEST_F(ReplayWatchTest, WhoDoesNotBelongIsNotRemovedAgainWithEachBeat) {
  Beat(9);
  watch_.KeepOnly({NodeId{3}}, At(10));
  EXPECT_FALSE(MustAsk(10));
  watch_.KeepOnly({kPeer, NodeId{3}}, At(11));
  Beat(11);
  watch_.KeepOnly({NodeId{3}}, At(12));
  for (int second = 13; second < 100; ++second) {
    Beat(second);
    watch_.KeepOnly({NodeId{3}}, At(second));
  }
  EXPECT_FALSE(watch_.MustAsk(At(100), absl::Seconds(50)));
}

TEST_F(ReplayWatchTest, NothingIsAskedWhileNothingIsRemembered) {
  watch_.OnUnsettled(At(1));
  EXPECT_FALSE(watch_.MustAsk(At(1), absl::ZeroDuration()));
}

}  // namespace
}  // namespace holdfast::node
