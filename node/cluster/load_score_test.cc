#include "node/cluster/load_score.h"

#include <gtest/gtest.h>

#include <functional>

namespace holdfast::node {
namespace {

LoadSample Syncs(int64_t milliseconds) {
  LoadSample sample;
  sample.sync_latency = absl::Milliseconds(milliseconds);
  return sample;
}

// One sample a second, from `second` on, `count` of them.
const LoadState& Feed(LoadScore& score, const LoadSample& sample, int& second, int count) {
  for (int i = 0; i < count; ++i) score.Add(sample, absl::Seconds(++second));
  return score.state();
}

TEST(LoadScoreTest, AnIdleNodeStandsAtZero) {
  LoadScore score({});
  int second = 0;
  EXPECT_EQ(Feed(score, LoadSample(), second, 10).permille, 0u);
  EXPECT_FALSE(score.state().overloaded);
}

TEST(LoadScoreTest, TheHighestPartIsTheScoreAndIsNamed) {
  LoadScore score({});
  LoadSample sample = Syncs(150);
  sample.cpu_wait = 0.1;
  int second = 0;
  const LoadState& state = Feed(score, sample, second, 20);
  EXPECT_EQ(state.part, LoadPart::kSync);
  EXPECT_NEAR(state.permille, 500, 2);
  EXPECT_NEAR(state.parts[static_cast<size_t>(LoadPart::kCpu)], 200, 2);
  EXPECT_EQ(state.reason, "fsync takes 150 ms, 300 ms can be borne");
  EXPECT_EQ(NameOf(state.part), "fsync");
}

TEST(LoadScoreTest, EachPartCanOverloadTheNode) {
  const auto part_of = [](const std::function<void(LoadSample&)>& set) {
    LoadSample sample;
    set(sample);
    LoadScore score({});
    int second = 0;
    const LoadState& state = Feed(score, sample, second, 10);
    EXPECT_TRUE(state.overloaded) << state.reason;
    EXPECT_FALSE(state.reason.empty());
    return state.part;
  };
  EXPECT_EQ(part_of([](auto& sample) { sample.event_loop_lag = absl::Seconds(1); }),
            LoadPart::kEventLoop);
  EXPECT_EQ(part_of([](auto& sample) { sample.cpu_wait = 0.9; }), LoadPart::kCpu);
  EXPECT_EQ(part_of([](auto& sample) { sample.memory_used = 0.95; }), LoadPart::kMemory);
  EXPECT_EQ(part_of([](auto& sample) { sample.due_age = absl::Minutes(2); }), LoadPart::kDueMail);
  EXPECT_EQ(part_of([](auto& sample) { sample.space_used = 1.2; }), LoadPart::kSpace);
}

TEST(LoadScoreTest, OverloadShowsWithinFiveSecondsAndOneSpikeDoesNot) {
  LoadScore slow({});
  int second = 0;
  EXPECT_TRUE(Feed(slow, Syncs(450), second, 5).overloaded);

  LoadScore spike({});
  second = 0;
  Feed(spike, LoadSample(), second, 5);
  for (int i = 0; i < 50; ++i) {
    EXPECT_FALSE(Feed(spike, Syncs(60'000), second, 1).overloaded);
    EXPECT_FALSE(Feed(spike, LoadSample(), second, 9).overloaded);
  }
}

TEST(LoadScoreTest, ALoadAboutTheMarkDoesNotFlap) {
  LoadScore score({});
  int second = 0;
  EXPECT_TRUE(Feed(score, Syncs(450), second, 10).overloaded);
  for (int i = 0; i < 100; ++i) {
    // 800 to 1100 in turn: over and under 1000, never calm.
    EXPECT_TRUE(Feed(score, Syncs(240 + 90 * (i / 5 % 2)), second, 1).overloaded);
  }
}

TEST(LoadScoreTest, ANodeRecoversUntilItWasCalmForAMinute) {
  LoadScore score({});
  int second = 0;
  Feed(score, Syncs(450), second, 10);
  EXPECT_FALSE(Feed(score, LoadSample(), second, 5).overloaded);
  EXPECT_TRUE(score.state().recovering);
  EXPECT_TRUE(Feed(score, LoadSample(), second, 50).recovering);
  Feed(score, Syncs(240), second, 10);  // 800 for a moment: busy, not overloaded, not calm.
  EXPECT_FALSE(score.state().overloaded);
  EXPECT_TRUE(Feed(score, LoadSample(), second, 55).recovering);
  EXPECT_FALSE(Feed(score, LoadSample(), second, 10).recovering);
}

TEST(LoadScoreTest, RefusingTakesTwiceWhatCanBeBorne) {
  LoadScore score({});
  int second = 0;
  EXPECT_FALSE(Feed(score, Syncs(500), second, 60).refusing);
  EXPECT_TRUE(Feed(score, Syncs(800), second, 10).refusing);
  EXPECT_TRUE(Feed(score, Syncs(400), second, 30).refusing);  // Still overloaded.
  EXPECT_FALSE(Feed(score, Syncs(100), second, 10).refusing);
}

TEST(LoadScoreTest, WaitingMailAndAFullDiskNeverRefuseMail) {
  LoadScore score({});
  LoadSample sample;
  sample.due_age = absl::Hours(24);
  sample.space_used = 100;
  int second = 0;
  EXPECT_TRUE(Feed(score, sample, second, 600).overloaded);
  EXPECT_FALSE(score.state().refusing);
}

// What came in while the disk was slow waits to be delivered: that keeps nobody out.
TEST(LoadScoreTest, WaitingMailDoesNotMakeANodeGoOnRefusing) {
  LoadScore score({});
  int second = 0;
  LoadSample sample = Syncs(800);
  sample.due_age = absl::Minutes(10);
  EXPECT_TRUE(Feed(score, sample, second, 10).refusing);
  sample.sync_latency = absl::Milliseconds(400);
  EXPECT_TRUE(Feed(score, sample, second, 30).refusing);
  EXPECT_EQ(score.state().part, LoadPart::kDueMail);
  EXPECT_EQ(score.state().refuse_reason, "fsync takes 400 ms, 300 ms can be borne");
  sample.sync_latency = absl::Milliseconds(100);
  EXPECT_FALSE(Feed(score, sample, second, 10).refusing);
  EXPECT_TRUE(score.state().overloaded);
}

TEST(LoadScoreTest, APartWithoutALimitDoesNotCount) {
  LoadScore score({.sync_latency_max = absl::ZeroDuration()});
  int second = 0;
  EXPECT_EQ(Feed(score, Syncs(10'000), second, 60).permille, 0u);
}

TEST(LoadScoreTest, SamplesAtAnyPaceComeToTheSame) {
  LoadScore often({});
  LoadScore seldom({});
  for (int i = 1; i <= 80; ++i) often.Add(Syncs(300), absl::Milliseconds(100 * i));
  for (int i = 1; i <= 4; ++i) seldom.Add(Syncs(300), absl::Seconds(2 * i));
  EXPECT_NEAR(often.state().permille, seldom.state().permille, 60);
}

}  // namespace
}  // namespace holdfast::node
