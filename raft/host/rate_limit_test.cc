#include "raft/host/rate_limit.h"

#include <gtest/gtest.h>

namespace holdfast::raft {
namespace {

TEST(RateLimitTest, WithoutALimitNobodyWaits) {
  RateLimit limit(0, 0);
  EXPECT_EQ(limit.Take(uint64_t{1} << 40, absl::Seconds(1)), absl::ZeroDuration());
}

TEST(RateLimitTest, WhatIsTakenBeyondTheBurstIsWaitedForAfterwards) {
  RateLimit limit(1000, 500);
  EXPECT_EQ(limit.Take(500, absl::Seconds(10)), absl::ZeroDuration());
  EXPECT_EQ(limit.Take(1000, absl::Seconds(10)), absl::Seconds(1));
  // Somebody else at the same moment waits behind that.
  EXPECT_EQ(limit.Take(500, absl::Seconds(10)), absl::Milliseconds(1500));
  EXPECT_EQ(limit.Take(500, absl::Milliseconds(11'500)), absl::Milliseconds(500));
}

TEST(RateLimitTest, ARestFillsTheBucketToTheBurstAndNoFurther) {
  RateLimit limit(1000, 500);
  EXPECT_EQ(limit.Take(500, absl::Seconds(1)), absl::ZeroDuration());
  EXPECT_EQ(limit.Take(500, absl::Seconds(100)), absl::ZeroDuration());
  EXPECT_EQ(limit.Take(100, absl::Seconds(100)), absl::Milliseconds(100));
}

TEST(RateLimitTest, TheRateIsKeptOverTime) {
  RateLimit limit(1 << 20, 64 << 10);
  absl::Duration now = absl::Seconds(1);
  for (int piece = 0; piece < 160; ++piece) now += limit.Take(64 << 10, now);
  EXPECT_NEAR(absl::ToDoubleSeconds(now), 1 + 10, 0.2);
}

}  // namespace
}  // namespace holdfast::raft
