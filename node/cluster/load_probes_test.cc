#include "node/cluster/load_probes.h"

#include <gtest/gtest.h>

#include "base/context.h"

namespace holdfast::node {
namespace {

TEST(LagProbeTest, ItMeasuresHowLateATaskRunsAndWhatStillWaits) {
  ManualClock clock{absl::UnixEpoch()};
  ManualContext context;
  LagProbe probe(
      [&context](std::function<void()> task) { return context.TryPost(std::move(task)); }, clock);
  EXPECT_EQ(probe.TakeWorst(), absl::ZeroDuration());
  probe.Ping();
  clock.Advance(absl::Milliseconds(30));
  probe.Ping();  // One waits already.
  context.RunAll();
  probe.Ping();
  clock.Advance(absl::Milliseconds(10));
  context.RunAll();
  EXPECT_EQ(probe.TakeWorst(), absl::Milliseconds(30));
  EXPECT_EQ(probe.TakeWorst(), absl::ZeroDuration());
  probe.Ping();
  clock.Advance(absl::Milliseconds(700));
  EXPECT_EQ(probe.TakeWorst(), absl::Milliseconds(700));
  clock.Advance(absl::Milliseconds(700));
  EXPECT_EQ(probe.TakeWorst(), absl::Milliseconds(1400));
}

TEST(LagProbeTest, AContextWithoutRoomCountsUntilItHasSome) {
  ManualClock clock{absl::UnixEpoch()};
  ManualContext context;
  bool room = false;
  LagProbe probe(
      [&](std::function<void()> task) {
        if (room) context.Post(std::move(task));
        return room;
      },
      clock);
  probe.Ping();
  EXPECT_EQ(probe.TakeWorst(), LagProbe::kNoRoom);
  room = true;
  probe.Ping();
  clock.Advance(absl::Milliseconds(5));
  context.RunAll();
  EXPECT_EQ(probe.TakeWorst(), absl::Milliseconds(5));
}

TEST(LagProbeTest, AContextMayRunTheStampAfterTheProbesEnd) {
  ManualClock clock{absl::UnixEpoch()};
  ManualContext context;
  {
    LagProbe probe(
        [&context](std::function<void()> task) { return context.TryPost(std::move(task)); }, clock);
    probe.Ping();
  }
  context.RunAll();
}

TEST(CpuWaitTest, AShareIsAShare) {
  CpuWait wait;
  for (int i = 0; i < 3; ++i) {
    const double share = wait.TakeWorst(absl::Seconds(1));
    EXPECT_GE(share, 0);
    EXPECT_LE(share, 1);
  }
}

}  // namespace
}  // namespace holdfast::node
