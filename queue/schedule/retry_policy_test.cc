#include "queue/schedule/retry_policy.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"

namespace holdfast::queue {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'000'000);

TEST(RetryPolicyTest, WaitsGrowThenRepeatTheLast) {
  RetryRule rule;
  rule.jitter_percent = 0;
  const std::vector<int> minutes = {5, 10, 20, 40, 60, 60, 60};
  for (size_t i = 0; i < minutes.size(); ++i) {
    EXPECT_EQ(NextDue(kNow, static_cast<uint32_t>(i + 1), rule, 12345) - kNow,
              absl::Minutes(minutes[i]));
  }
}

TEST(RetryPolicyTest, JitterStaysWithinItsShareAndUsesAllOfIt) {
  const RetryRule rule;
  Random random(1);
  absl::Duration least = absl::InfiniteDuration();
  absl::Duration most;
  for (int i = 0; i < 10'000; ++i) {
    const absl::Duration wait = NextDue(kNow, 1, rule, random.Next()) - kNow;
    least = std::min(least, wait);
    most = std::max(most, wait);
  }
  EXPECT_GE(least, absl::Minutes(4));
  EXPECT_LE(most, absl::Minutes(6));
  EXPECT_LT(least, absl::Minutes(4) + absl::Seconds(5));
  EXPECT_GT(most, absl::Minutes(6) - absl::Seconds(5));
}

TEST(RetryPolicyTest, AnEmptyRuleStillWaits) {
  RetryRule rule;
  rule.waits.clear();
  rule.jitter_percent = 0;
  EXPECT_EQ(NextDue(kNow, 0, rule, 0), kNow + absl::Hours(1));
}

RecipientResult Of(RecipientResult::Kind kind) {
  RecipientResult result;
  result.kind = kind;
  return result;
}

TEST(RetryPolicyTest, OnlyAnAttemptThatFailedPastTheDeadlineExpires) {
  using Kind = RecipientResult::Kind;
  const std::vector<RecipientResult> results = {Of(Kind::kTemporary), Of(Kind::kDelivered),
                                                Of(Kind::kPermanent), Of(Kind::kNotSent)};
  JudgedAttempt before = JudgeAttempt(results, kNow, kNow + absl::Seconds(1), 0, {}, 0);
  EXPECT_EQ(before.recipients, (std::vector<Judgement>{Judgement::kDeferred, Judgement::kDelivered,
                                                       Judgement::kBounced, Judgement::kNotSent}));
  EXPECT_GT(before.next_due, kNow + absl::Minutes(3));
  JudgedAttempt after = JudgeAttempt(results, kNow, kNow, 0, {}, 0);
  EXPECT_EQ(after.recipients[0], Judgement::kExpired);
  EXPECT_EQ(after.recipients[3], Judgement::kNotSent);
  EXPECT_EQ(after.next_due, kNow);  // What was not sent is due at once.
}

TEST(RetryPolicyTest, AnAttemptThatSentNothingDoesNotCount) {
  JudgedAttempt judged =
      JudgeAttempt({Of(RecipientResult::Kind::kNotSent)}, kNow, absl::InfinitePast(), 3, {}, 0);
  EXPECT_FALSE(judged.counts);
  EXPECT_EQ(judged.next_due, kNow);
}

TEST(RetryPolicyTest, DelayNoticesHaveTheirTime) {
  RetryRule rule;
  EXPECT_FALSE(DelayNoticeDue(kNow + absl::Hours(3), kNow, rule));
  EXPECT_TRUE(DelayNoticeDue(kNow + absl::Hours(4), kNow, rule));
  rule.delay_notice_after = absl::ZeroDuration();
  EXPECT_FALSE(DelayNoticeDue(kNow + absl::Hours(400), kNow, rule));
}

}  // namespace
}  // namespace holdfast::queue
