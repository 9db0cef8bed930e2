#include "queue/schedule/attempt_permits.h"

#include <gtest/gtest.h>

namespace holdfast::queue {
namespace {

DestinationLimits Limits(uint32_t connections, uint32_t messages = 0) {
  DestinationLimits limits;
  limits.concurrency_max = connections;
  limits.rate_messages = messages;
  return limits;
}

TEST(AttemptPermitsTest, SchedulersShareOneLimit) {
  AttemptPermits permits({}, nullptr);
  for (uint32_t asker = 1; asker <= 3; ++asker) {
    EXPECT_EQ(permits.Take(asker, "a.test", Limits(3), 1), asker - 1);
  }
  EXPECT_EQ(permits.Take(4, "a.test", Limits(3), 1), std::nullopt);
  EXPECT_EQ(permits.Take(4, "b.test", Limits(3), 1), 0u);
  EXPECT_EQ(permits.in_use("a.test"), 3u);
}

TEST(AttemptPermitsTest, TheLowestFreeSlotIsTakenAgain) {
  AttemptPermits permits({}, nullptr);
  for (int i = 0; i < 4; ++i) permits.Take(1, "a.test", Limits(4), 1);
  permits.GiveBack("a.test", 2);
  permits.GiveBack("a.test", 1);
  EXPECT_EQ(permits.Take(1, "a.test", Limits(4), 1), 1u);
  EXPECT_EQ(permits.Take(1, "a.test", Limits(4), 1), 2u);
}

TEST(AttemptPermitsTest, ThoseWhoWaitTakeTurns) {
  std::vector<uint32_t> woken;
  AttemptPermits permits({}, nullptr, [&woken](uint32_t asker) { woken.push_back(asker); });
  ASSERT_EQ(permits.Take(1, "a.test", Limits(1), 9), 0u);
  EXPECT_FALSE(permits.Take(1, "a.test", Limits(1), 9));
  EXPECT_FALSE(permits.Take(2, "a.test", Limits(1), 9));
  permits.GiveBack("a.test", 0);
  EXPECT_EQ(woken, std::vector<uint32_t>({1}));
  EXPECT_FALSE(permits.Take(2, "a.test", Limits(1), 9));  // Not its turn.
  EXPECT_TRUE(permits.Take(1, "a.test", Limits(1), 9));
  EXPECT_FALSE(permits.Take(1, "a.test", Limits(1), 9));  // Behind the other now.
  permits.GiveBack("a.test", 0);
  EXPECT_EQ(woken, std::vector<uint32_t>({1, 2}));
  EXPECT_FALSE(permits.Take(1, "a.test", Limits(1), 9));
  EXPECT_TRUE(permits.Take(2, "a.test", Limits(1), 9));
}

TEST(AttemptPermitsTest, PermitsThatComeBackTogetherWakeOneAfterTheOther) {
  std::vector<uint32_t> woken;
  AttemptPermits permits({}, nullptr, [&woken](uint32_t asker) { woken.push_back(asker); });
  for (uint32_t i = 0; i < 2; ++i) ASSERT_EQ(permits.Take(1, "a.test", Limits(2), 1), i);
  for (uint32_t asker = 2; asker <= 4; ++asker) {
    EXPECT_FALSE(permits.Take(asker, "a.test", Limits(2), 1));
  }
  permits.GiveBack("a.test", 0);
  permits.GiveBack("a.test", 1);
  EXPECT_EQ(woken, std::vector<uint32_t>({2, 2}));
  // It takes one; the other permit would wait for somebody to look again.
  EXPECT_TRUE(permits.Take(2, "a.test", Limits(2), 1));
  EXPECT_EQ(woken, std::vector<uint32_t>({2, 2, 3}));
  EXPECT_TRUE(permits.Take(3, "a.test", Limits(2), 1));
  EXPECT_EQ(woken, std::vector<uint32_t>({2, 2, 3}));  // All are taken.
}

TEST(AttemptPermitsTest, WhoWaitsIsWokenWhenMoreIsAllowed) {
  Allowance allowance{1, 0};
  std::vector<uint32_t> woken;
  AttemptPermits permits(
      {}, [&allowance](std::string_view, const DestinationLimits&) { return allowance; },
      [&woken](uint32_t asker) { woken.push_back(asker); });
  ASSERT_TRUE(permits.Take(1, "a.test", Limits(9), 1));
  EXPECT_FALSE(permits.Take(2, "a.test", Limits(9), 1));
  EXPECT_FALSE(permits.Take(3, "a.test", Limits(9), 1));
  allowance.connections = 3;
  permits.OnMoreAllowed("b.test");
  EXPECT_TRUE(woken.empty());
  permits.OnMoreAllowed("a.test");
  EXPECT_TRUE(permits.Take(2, "a.test", Limits(9), 1));
  EXPECT_EQ(woken, std::vector<uint32_t>({2, 3}));
}

TEST(AttemptPermitsTest, WhoDoesNotComeAgainHoldsUpNobody) {
  AttemptPermits permits({}, nullptr);
  ASSERT_TRUE(permits.Take(1, "a.test", Limits(1), 1));
  EXPECT_FALSE(permits.Take(2, "a.test", Limits(1), 1));
  EXPECT_FALSE(permits.Take(3, "a.test", Limits(1), 1));
  permits.GiveBack("a.test", 0);
  EXPECT_FALSE(permits.Take(3, "a.test", Limits(1), 1));
  permits.Forget(2);
  EXPECT_TRUE(permits.Take(3, "a.test", Limits(1), 1));
  EXPECT_FALSE(permits.Take(1, "a.test", Limits(1), 1));
  permits.GiveBack("a.test", 0);
  permits.Advance(absl::Seconds(1));
  EXPECT_TRUE(permits.Take(2, "a.test", Limits(1), 1));  // 1 is forgotten by now.
}

TEST(AttemptPermitsTest, TheAllowanceIsWhatCounts) {
  Allowance allowance{2, 0};
  AttemptPermits permits(
      {}, [&allowance](std::string_view, const DestinationLimits&) { return allowance; });
  EXPECT_TRUE(permits.Take(1, "a.test", Limits(20), 5));
  EXPECT_FALSE(permits.TakeShortage());
  EXPECT_TRUE(permits.Take(1, "a.test", Limits(20), 5));
  EXPECT_FALSE(permits.Take(1, "a.test", Limits(20), 5));
  EXPECT_TRUE(permits.TakeShortage());
  EXPECT_EQ(permits.DemandOf("a.test").wanted.connections, 7);
  EXPECT_EQ(permits.DemandOf("a.test").open, 2u);
  allowance.connections = 3;
  EXPECT_TRUE(permits.Take(1, "a.test", Limits(20), 5));
  allowance.connections = 0;  // What runs goes on.
  EXPECT_EQ(permits.in_use("a.test"), 3u);
}

TEST(AttemptPermitsTest, AConnectionCountsUntilItIsCold) {
  AttemptPermits permits({.idle_lifetime = absl::Seconds(5)}, nullptr);
  ASSERT_TRUE(permits.Take(1, "a.test", Limits(20), 1));
  ASSERT_TRUE(permits.Take(1, "a.test", Limits(20), 1));
  permits.GiveBack("a.test", 1);
  permits.Advance(absl::Seconds(4));
  EXPECT_EQ(permits.DemandOf("a.test").open, 2u);
  permits.Advance(absl::Seconds(6));
  EXPECT_EQ(permits.DemandOf("a.test").open, 1u);
}

TEST(AttemptPermitsTest, AShareThatShrankIsFilledWithConnectionsThatAreOpen) {
  Allowance allowance{4, 0};
  AttemptPermits permits({.idle_lifetime = absl::Seconds(5)},
                         [&](std::string_view, const DestinationLimits&) { return allowance; });
  for (uint32_t slot = 0; slot < 4; ++slot) {
    ASSERT_EQ(permits.Take(1, "a.test", Limits(20), 1), slot);
  }
  permits.GiveBack("a.test", 0);
  permits.Advance(absl::Seconds(4));
  permits.GiveBack("a.test", 3);
  permits.Advance(absl::Seconds(6));
  allowance.connections = 3;
  // Slot 0 has no connection any more, and would need a fourth one.
  EXPECT_EQ(permits.Take(1, "a.test", Limits(20), 1), 3u);
  EXPECT_EQ(permits.DemandOf("a.test").open, 3u);
}

TEST(AttemptPermitsTest, ARateIsSpreadOverItsPeriod) {
  AttemptPermits permits({}, nullptr);
  int taken = 0;
  for (int tenths = 0; tenths < 1200; ++tenths) {
    permits.Advance(absl::Milliseconds(100 * tenths));
    while (const auto slot = permits.Take(1, "a.test", Limits(20, 60), 20)) {
      permits.GiveBack("a.test", *slot);
      ++taken;
    }
    if (tenths == 0) {
      EXPECT_EQ(taken, 6);
    }
  }
  EXPECT_GE(taken, 120);
  EXPECT_LE(taken, 126);
  EXPECT_EQ(permits.DemandOf("a.test").wanted.messages, 60);
}

TEST(AttemptPermitsTest, WhoIsNotShortWantsALittleMoreThanGoes) {
  AttemptPermits permits({}, nullptr);
  for (int second = 0; second < 60; ++second) {
    permits.Advance(absl::Seconds(second));
    const auto slot = permits.Take(1, "a.test", Limits(20, 600), 1);
    ASSERT_TRUE(slot);
    permits.GiveBack("a.test", *slot);
  }
  EXPECT_GT(permits.DemandOf("a.test").wanted.messages, 60);
  EXPECT_LT(permits.DemandOf("a.test").wanted.messages, 120);
}

TEST(AttemptPermitsTest, WhatIsIdleIsForgotten) {
  AttemptPermits permits({.destinations_max = 10}, nullptr);
  for (int i = 0; i < 100; ++i) {
    const std::string name = "d" + std::to_string(i) + ".test";
    const auto slot = permits.Take(1, name, Limits(20), 1);
    ASSERT_TRUE(slot);
    if (i > 0) permits.GiveBack(name, *slot);
    ASSERT_LE(permits.destinations(), 10u);
  }
  EXPECT_EQ(permits.in_use("d0.test"), 1u);
  for (int second = 1; second < 10; ++second) {
    permits.Advance(absl::Seconds(second));
    permits.VisitDemands([](const auto&, const auto&, const auto&) {});
  }
  EXPECT_EQ(permits.destinations(), 1u);
}

}  // namespace
}  // namespace holdfast::queue
