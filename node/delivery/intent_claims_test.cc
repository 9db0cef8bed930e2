#include "node/delivery/intent_claims.h"

#include <gtest/gtest.h>

namespace holdfast::node {
namespace {

constexpr NodeId kSelf{1};
constexpr AttemptMaker kOther{2, 77};
constexpr absl::Duration kLifetime = absl::Seconds(10);

absl::Duration At(int seconds) { return absl::Seconds(seconds); }

queue::InDoubtUnit Unit(uint64_t attempt, uint64_t node, uint64_t boot) {
  queue::InDoubtUnit unit;
  unit.attempt = {attempt, node, boot};
  return unit;
}

class IntentClaimsTest : public testing::Test {
 protected:
  absl::Duration WaitFrom(uint64_t attempt, absl::Duration now) const {
    return claims_.WaitFrom({attempt, kOther.node_id, kOther.boot_id}, At(100), now);
  }

  IntentClaims claims_{kSelf, kLifetime};
};

TEST_F(IntentClaimsTest, OtherNodesAreAskedEachAboutItsOwnLives) {
  const auto questions =
      claims_.Questions({Unit(5, 2, 77), Unit(6, 1, 3), Unit(7, 2, 77), Unit(5, 2, 78)});
  ASSERT_EQ(questions.size(), 2u);
  EXPECT_EQ(questions.at(kOther), (std::vector<uint64_t>{5, 7}));
  EXPECT_EQ(questions.at({2, 78}), (std::vector<uint64_t>{5}));
}

TEST_F(IntentClaimsTest, NothingIsSettledBeforeItsNodeWasAsked) {
  EXPECT_EQ(WaitFrom(5, At(1000)), absl::InfiniteDuration());
  claims_.OnAnswer(kOther, {5}, {}, At(1000));
  EXPECT_EQ(WaitFrom(5, At(1000)), At(100));
}

TEST_F(IntentClaimsTest, OurOwnFormerLivesNeedNoQuestion) {
  EXPECT_EQ(claims_.WaitFrom({5, kSelf.value(), 3}, At(100), At(101)), At(100));
}

// A call that is lost for a while must not make an attempt that runs one that is in doubt.
TEST_F(IntentClaimsTest, TheWaitBeginsWhenTheLastAnswerWasGiven) {
  claims_.OnAnswer(kOther, {5, 6}, {5}, At(200));
  EXPECT_EQ(WaitFrom(5, At(205)), absl::InfiniteDuration());
  EXPECT_EQ(WaitFrom(6, At(205)), At(100));
  claims_.OnAnswer(kOther, {5, 6}, {}, At(208));  // Not reached.
  EXPECT_EQ(WaitFrom(5, At(210)), absl::InfiniteDuration());
  EXPECT_EQ(WaitFrom(5, At(211)), At(200));
  claims_.OnAnswer(kOther, {5, 6}, {5}, At(212));
  EXPECT_EQ(WaitFrom(5, At(213)), absl::InfiniteDuration());
}

TEST_F(IntentClaimsTest, OnlyWhatWasAskedIsRememberedAndOnlyWhileItIsOpen) {
  claims_.OnAnswer(kOther, {5, 6}, {5, 900}, At(1));
  EXPECT_EQ(claims_.size(), 2u);
  claims_.Keep({Unit(6, 2, 77), Unit(8, 2, 77)});
  EXPECT_EQ(claims_.size(), 1u);
  EXPECT_EQ(WaitFrom(5, At(50)), absl::InfiniteDuration());
  claims_.Clear();
  EXPECT_EQ(claims_.size(), 0u);
}

}  // namespace
}  // namespace holdfast::node
