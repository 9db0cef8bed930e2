#include "raft/transport/watchdog.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <vector>

#include "base/mutex.h"

namespace holdfast::raft {
namespace {

TEST(WatchdogTest, RunsWhatIsLate) {
  Watchdog watchdog;
  Mutex mutex;
  CondVar changed;
  bool ran = false;
  Watchdog::Guard guard = watchdog.Arm(absl::Milliseconds(1), [&] {
    MutexLock lock(mutex);
    ran = true;
    changed.NotifyAll();
  });
  {
    MutexLock lock(mutex);
    while (!ran) changed.Wait(mutex);
  }
  EXPECT_TRUE(guard.Disarm());
  EXPECT_TRUE(guard.Disarm()) << "asked again";
}

TEST(WatchdogTest, LeavesAloneWhatIsInTime) {
  std::atomic<int> ran{0};
  Watchdog watchdog;
  Watchdog::Guard guard = watchdog.Arm(absl::Hours(1), [&] { ++ran; });
  EXPECT_FALSE(guard.Disarm());
  EXPECT_EQ(ran, 0);
}

TEST(WatchdogTest, ANearerDeadlineIsNotHeldUpByAFarOne) {
  Watchdog watchdog;
  Watchdog::Guard far = watchdog.Arm(absl::Hours(1), [] {});
  std::atomic<bool> ran{false};
  Watchdog::Guard near = watchdog.Arm(absl::Milliseconds(1), [&] {
    ran = true;
    ran.notify_all();
  });
  ran.wait(false);
  EXPECT_TRUE(near.Disarm());
  EXPECT_FALSE(far.Disarm());
}

TEST(WatchdogTest, NothingRunsAfterDisarm) {
  // A callback that came late would write into freed memory: ASan and TSan see it.
  Watchdog watchdog;
  for (int i = 0; i < 2000; ++i) {
    auto counter = std::make_unique<int>(0);
    Watchdog::Guard guard =
        watchdog.Arm(absl::Microseconds(i % 50), [raw = counter.get()] { ++*raw; });
    const bool ran = guard.Disarm();
    EXPECT_EQ(*counter, ran ? 1 : 0);
  }
}

}  // namespace
}  // namespace holdfast::raft
