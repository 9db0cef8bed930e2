#include "smtp/stream/timer.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <vector>

#include "base/clock.h"

namespace holdfast::smtp {
namespace {

class SimulatedTimerTest : public testing::Test {
 protected:
  SimulatedTimerTest() { TimerClock::Simulate(&clock_); }
  ~SimulatedTimerTest() override { TimerClock::Simulate(nullptr); }

  void Poll() {
    io_.restart();
    io_.poll();
  }

  ManualClock clock_{absl::UnixEpoch()};
  asio::io_context io_{1};
};

TEST_F(SimulatedTimerTest, GoesOffWhenTheSimulatedClockIsThere) {
  Timer late(io_);
  Timer early(io_);
  std::vector<int> fired;
  late.expires_after(std::chrono::hours(2));
  late.async_wait([&](const boost::system::error_code&) { fired.push_back(2); });
  early.expires_after(std::chrono::hours(1));
  early.async_wait([&](const boost::system::error_code&) { fired.push_back(1); });
  Poll();
  EXPECT_EQ(fired, (std::vector<int>{}));
  clock_.Advance(absl::Minutes(59));
  Poll();
  EXPECT_EQ(fired, (std::vector<int>{}));
  clock_.Advance(absl::Minutes(1));
  Poll();
  EXPECT_EQ(fired, (std::vector<int>{1}));
  clock_.Advance(absl::Hours(1));
  Poll();
  EXPECT_EQ(fired, (std::vector<int>{1, 2}));
}

TEST_F(SimulatedTimerTest, OneThatIsMovedAwayWaitsAnew) {
  Timer timer(io_);
  int fired = 0;
  const auto count = [&fired](const boost::system::error_code& error) { fired += !error; };
  timer.expires_after(std::chrono::seconds(1));
  timer.async_wait(count);
  timer.expires_after(std::chrono::seconds(10));
  timer.async_wait(count);
  clock_.Advance(absl::Seconds(9));
  Poll();
  EXPECT_EQ(fired, 0);
  clock_.Advance(absl::Seconds(1));
  Poll();
  EXPECT_EQ(fired, 1);
}

TEST(TimerTest, IsTheSteadyClockOtherwise) {
  const auto before = std::chrono::steady_clock::now().time_since_epoch();
  const auto now = TimerClock::now().time_since_epoch();
  EXPECT_GE(now, before);
  asio::io_context io{1};
  Timer timer(io);
  bool fired = false;
  timer.expires_after(std::chrono::milliseconds(1));
  timer.async_wait([&](const boost::system::error_code& error) { fired = !error; });
  io.run();
  EXPECT_TRUE(fired);
}

}  // namespace
}  // namespace holdfast::smtp
