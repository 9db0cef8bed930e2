#include <gtest/gtest.h>

#include <atomic>
#include <set>

#include "base/byte_budget.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/context.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "base/random.h"
#include "base/status.h"
#include "base/strong_id.h"

namespace holdfast {
namespace {

TEST(CheckDeathTest, PrintsConditionAndText) {
  EXPECT_DEATH(HOLDFAST_CHECK(1 == 2) << "numbers moved", "1 == 2 numbers moved");
}

TEST(CheckDeathTest, EnvironmentFailureExitsWithOne) {
  EXPECT_EXIT(DieOfEnvironment("disk gone"), ::testing::ExitedWithCode(1), "fatal: disk gone");
}

TEST(StatusTest, AnnotateKeepsTheCode) {
  const absl::Status status =
      Annotate(MakeStatus(absl::StatusCode::kAborted, "lost {} of {}", 1, 3), "write");
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Message(status), "write: lost 1 of 3");
}

TEST(Crc32cTest, MatchesTheVectorsOfRfc3720) {
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c("6789", Crc32c("12345")), Crc32c("123456789"));
}

TEST(RandomTest, EqualSeedsGiveEqualSequencesAndBelowStaysBelow) {
  Random a(7);
  Random b(7);
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) {
    const uint64_t value = a.Below(5);
    EXPECT_EQ(value, b.Below(5));
    EXPECT_LT(value, 5u);
    seen.insert(value);
  }
  EXPECT_EQ(seen.size(), 5u);
}

TEST(ByteBudgetTest, RefusesPastTheBoundAndGivesBack) {
  ByteBudget budget(100);
  auto first = budget.TryReserve(60);
  ASSERT_TRUE(first.has_value());
  EXPECT_FALSE(budget.TryReserve(41).has_value());
  EXPECT_FALSE(budget.TryReserve(~uint64_t{0}).has_value());
  first->Release();
  EXPECT_EQ(budget.used_bytes(), 0u);
  EXPECT_TRUE(budget.TryReserve(100).has_value());
  EXPECT_EQ(budget.used_bytes(), 0u);
}

TEST(ContextTest, RunsTasksInOrderAndFinishesThemOnStop) {
  std::vector<int> order;
  {
    ThreadContext context("test", 4);
    for (int i = 0; i < 100; ++i) {
      context.Post([&order, i] { order.push_back(i); });
    }
    context.Stop();
  }
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[i], i);
}

TEST(ContextTest, TryPostRefusesAtTheBound) {
  ThreadContext context("test", 1);
  std::atomic<bool> go{false};
  std::atomic<bool> started{false};
  context.Post([&] {
    started = true;
    while (!go) std::this_thread::yield();
  });
  while (!started) std::this_thread::yield();
  EXPECT_TRUE(context.TryPost([] {}));
  EXPECT_FALSE(context.TryPost([] {}));
  go = true;
  context.Stop();
  EXPECT_FALSE(context.TryPost([] {}));
}

TEST(LogTest, EscapesWhatAClientCouldForge) {
  const LogField fields[] = {{"from", "a b\nevent=x"}, {"bytes", 12}};
  LogOptions options;
  options.node = "1";
  EXPECT_EQ(FormatLogLine(options, "T", LogLevel::kInfo, "accepted", fields, 2),
            "ts=T level=info event=accepted node=1 from=\"a b\\u000aevent=x\" bytes=12");
  options.format = LogFormat::kJson;
  EXPECT_EQ(FormatLogLine(options, "T", LogLevel::kInfo, "accepted", fields, 2),
            R"({"ts":"T","level":"info","event":"accepted","node":"1","from":"a b\u000aevent=x",)"
            R"("bytes":12})");
}

TEST(ManualClockTest, WallMayJumpBootTimeDoesNot) {
  ManualClock clock(absl::UnixEpoch());
  clock.Advance(absl::Seconds(5));
  clock.JumpWall(-absl::Hours(1));
  EXPECT_EQ(clock.SinceBoot(), absl::Seconds(5));
  EXPECT_LT(clock.Now(), absl::UnixEpoch());
}

}  // namespace
}  // namespace holdfast
