#include "node/replay/recent_submissions.h"

#include <gtest/gtest.h>

namespace holdfast::node {
namespace {

const SeenMessage kFirst{GroupId{3}, "01AAAAAAAAAAAAA1"};
const SeenMessage kSecond{GroupId{5}, "01AAAAAAAAAAAAA2"};

class RecentSubmissionsTest : public testing::Test {
 protected:
  RecentSubmissions recent_{absl::Seconds(10), 3};
};

TEST_F(RecentSubmissionsTest, KnowsASubmissionFromItsProposalToItsConfirmation) {
  EXPECT_FALSE(recent_.About("x").under_way);
  recent_.Propose(kFirst, "x");
  EXPECT_TRUE(recent_.About("x").under_way);
  EXPECT_FALSE(recent_.About("x").seen);
  recent_.Answer(kFirst.queue_id);
  EXPECT_FALSE(recent_.About("x").under_way);
  ASSERT_TRUE(recent_.About("x").seen);
  EXPECT_EQ(recent_.About("x").seen->group, kFirst.group);
  const auto confirmation = recent_.Confirm(kFirst.queue_id);
  ASSERT_TRUE(confirmation);
  EXPECT_EQ(confirmation->group, kFirst.group);
  EXPECT_EQ(confirmation->sha256, "x");
  EXPECT_FALSE(recent_.About("x").seen);
  ASSERT_EQ(recent_.About("x").confirmed.size(), 1u);
  EXPECT_EQ(recent_.About("x").confirmed[0].queue_id, kFirst.queue_id);
  // Said once.
  EXPECT_FALSE(recent_.Confirm(kFirst.queue_id));
}

// The groups may learn of a confirmation late; until then this node must not forget it.
TEST_F(RecentSubmissionsTest, AConfirmationIsKeptUntilTheGroupHasItAndAWhileLonger) {
  recent_.Propose(kFirst, "x");
  recent_.Answer(kFirst.queue_id);
  recent_.Confirm(kFirst.queue_id);
  recent_.ForgetOld(absl::Hours(1));
  EXPECT_EQ(recent_.About("x").confirmed.size(), 1u);
  recent_.EndConfirm(kFirst.queue_id, absl::Hours(1));
  recent_.ForgetOld(absl::Hours(1) + absl::Seconds(9));
  EXPECT_EQ(recent_.About("x").confirmed.size(), 1u);
  recent_.ForgetOld(absl::Hours(1) + absl::Seconds(10));
  EXPECT_EQ(recent_.size(), 0u);
}

TEST_F(RecentSubmissionsTest, WhatWasRefusedIsForgottenAtOnceAndWhatIsUnknownLater) {
  recent_.Propose(kFirst, "x");
  recent_.Refuse(kFirst.queue_id);
  EXPECT_FALSE(recent_.About("x").under_way);
  recent_.Propose(kSecond, "x");
  recent_.LoseSight(kSecond.queue_id, absl::Seconds(1));
  EXPECT_TRUE(recent_.About("x").under_way);
  recent_.ForgetOld(absl::Seconds(11));
  EXPECT_FALSE(recent_.About("x").under_way);
}

TEST_F(RecentSubmissionsTest, OfSeveralThatAreAlikeTheFirstIsSeen) {
  recent_.Accept(kSecond, "x");
  recent_.Accept(kFirst, "x");
  EXPECT_EQ(recent_.About("x").seen->queue_id, kFirst.queue_id);
  recent_.Confirm(kFirst.queue_id);
  EXPECT_EQ(recent_.About("x").seen->queue_id, kSecond.queue_id);
}

TEST_F(RecentSubmissionsTest, AReplayOfAMessageWhoseClientLeftIsAcceptedAnew) {
  recent_.Propose(kFirst, "x");
  recent_.Answer(kFirst.queue_id);
  EXPECT_TRUE(recent_.Leave(kFirst.queue_id, absl::Seconds(1)));
  recent_.Accept(kFirst, "x");
  recent_.ForgetOld(absl::Seconds(100));
  EXPECT_TRUE(recent_.Confirm(kFirst.queue_id));
}

// The same bytes all day long, from a device that means it.
TEST_F(RecentSubmissionsTest, OfManyThatAreAlikeFewAreKeptAndTheFinishedGoFirst) {
  RecentSubmissions many(absl::Seconds(10), 10'000);
  many.Accept({GroupId{1}, "first"}, "x");
  for (int i = 0; i < 500; ++i) {
    const std::string id = std::to_string(i);
    many.Accept({GroupId{1}, id}, "x");
    many.Confirm(id);
    many.EndConfirm(id, absl::Seconds(1));
  }
  EXPECT_EQ(many.size(), kAlikeMax);
  EXPECT_EQ(many.About("x").confirmed.size(), kAlikeMax - 1);
  EXPECT_EQ(many.About("x").seen->queue_id, "first");
  many.ForgetOld(absl::Seconds(11));
  EXPECT_EQ(many.size(), 1u);
}

TEST_F(RecentSubmissionsTest, FinishedOnesMakeRoomFirst) {
  recent_.Accept({GroupId{1}, "1"}, "a");
  recent_.Accept({GroupId{1}, "2"}, "b");
  recent_.Accept({GroupId{1}, "3"}, "c");
  recent_.Leave("2", absl::Seconds(1));
  recent_.Accept({GroupId{1}, "4"}, "d");
  EXPECT_TRUE(recent_.About("a").seen);
  EXPECT_FALSE(recent_.About("b").seen);
}

TEST_F(RecentSubmissionsTest, TheOldestGoWhenThereAreTooMany) {
  for (const char* id : {"1", "2", "3", "4"}) recent_.Accept({GroupId{1}, id}, "x");
  EXPECT_EQ(recent_.size(), 3u);
  EXPECT_EQ(recent_.About("x").seen->queue_id, "2");
  EXPECT_FALSE(recent_.Leave("1", absl::ZeroDuration()));
}

}  // namespace
}  // namespace holdfast::node
