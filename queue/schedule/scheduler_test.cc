#include "queue/schedule/scheduler.h"

#include <gtest/gtest.h>

#include <map>

#include "proto/queue_rows.pb.h"
#include "queue/state/keys.h"
#include "queue/state/rows.h"
#include "queue/testing/test_queue.h"

namespace holdfast::queue {
namespace {

using testing::AtSecond;
using testing::AttemptSpec;
using testing::MessageSpec;
using testing::TestQueue;

// A scheduler over a queue whose commands reach it as a node's would.
class Bench {
 public:
  explicit Bench(const SchedulerOptions& options = {}, bool check = false)
      : queue_(check),
        permits_({}, nullptr),
        scheduler_(
            options, [this](std::string_view) { return limits; }, permits_, 1) {
    scheduler_.OnLeader(AtSecond(0));
  }

  // Queues `count` messages to `destination`, with ids from `first_id` on.
  void Queue(uint32_t first_id, uint32_t count, const std::string& destination, double at = 0,
             double expires = 432'000) {
    for (uint32_t i = 0; i < count; ++i) {
      MessageSpec spec{.id = first_id + i, .to = {"r@" + destination}, .at = at};
      spec.expires = expires;
      Tell(queue_.Enqueue(spec), at);
    }
  }
  void Tell(const ApplyResult& result, double at) {
    scheduler_.OnEvents(result.events, AtSecond(at));
  }
  std::vector<Grant> Tick(double at) {
    permits_.Advance(absl::Seconds(at));
    return scheduler_.Tick(AtSecond(at), queue_.tables());
  }

  // Ends a grant as a delivery, a deferral until `next`, or a failure to connect.
  void Deliver(const Grant& grant, double at) {
    Record(grant, at, command::RESULT_DELIVERED, 0);
    scheduler_.OnAttemptEnded({grant.key, grant.attempt_id, AttemptEnded::Kind::kAnswered, ""},
                              AtSecond(at));
  }
  void Fail(const Grant& grant, double at, double next) {
    Record(grant, at, command::RESULT_DEFERRED, next);
    scheduler_.OnAttemptEnded(
        {grant.key, grant.attempt_id, AttemptEnded::Kind::kUnreachable, "connection refused"},
        AtSecond(at));
  }

  DestinationLimits limits;
  TestQueue& queue() { return queue_; }
  Scheduler& scheduler() { return scheduler_; }
  AttemptPermits& permits() { return permits_; }

 private:
  void Record(const Grant& grant, double at, command::Result result, double next) {
    AttemptSpec spec;
    spec.id = static_cast<uint32_t>(absl::ToUnixMillis(grant.key.queue_id.time()));
    spec.attempt = grant.attempt_id;
    spec.at = at;
    spec.next = next;
    spec.results = {result};
    Tell(queue_.Outcome(spec), at);
  }

  TestQueue queue_;
  AttemptPermits permits_;
  Scheduler scheduler_;
};

std::map<std::string, int> ByDestination(const std::vector<Grant>& grants) {
  std::map<std::string, int> counts;
  for (const Grant& grant : grants) ++counts[grant.destination];
  return counts;
}

TEST(SchedulerTest, GrantsWhatIsDueOnce) {
  Bench bench({}, true);
  bench.Queue(1, 3, "one.test");
  EXPECT_EQ(bench.Tick(0).size(), 3u);
  EXPECT_TRUE(bench.Tick(0).empty());
  EXPECT_TRUE(bench.Tick(3600).empty());
}

TEST(SchedulerTest, DeliversEverythingInTheEnd) {
  Bench bench({}, true);
  bench.Queue(1, 100, "one.test");
  bench.Queue(101, 100, "two.test");
  int delivered = 0;
  for (double at = 0; at < 100 && delivered < 200; ++at) {
    for (const Grant& grant : bench.Tick(at)) {
      bench.Deliver(grant, at);
      ++delivered;
    }
  }
  EXPECT_EQ(delivered, 200);
  EXPECT_EQ(bench.scheduler().counts().active_destinations, 0u);
  EXPECT_EQ(bench.scheduler().counts().remembered_destinations, 0u);
}

TEST(SchedulerTest, AUnitIsTriedAgainWhenItIsDue) {
  Bench bench({.failures_to_rest = 100});
  bench.Queue(1, 1, "one.test");
  bench.Fail(bench.Tick(0)[0], 1, 300);
  EXPECT_TRUE(bench.Tick(299).empty());
  EXPECT_EQ(bench.Tick(300).size(), 1u);
}

TEST(SchedulerTest, ConcurrencyStartsLowAndGrowsWithSuccessUpToTheLimit) {
  Bench bench({.concurrency_initial = 2});
  bench.limits.concurrency_max = 4;
  bench.Queue(1, 100, "one.test");
  std::vector<Grant> grants = bench.Tick(0);
  EXPECT_EQ(grants.size(), 2u);
  for (double at = 1; at < 10; ++at) {
    for (const Grant& grant : grants) bench.Deliver(grant, at);
    grants = bench.Tick(at);
  }
  EXPECT_EQ(grants.size(), 4u);
}

TEST(SchedulerTest, DestinationsTakeTurns) {
  Bench bench({.attempts_max = 6});
  bench.Queue(1, 50, "big.test");
  bench.Queue(51, 2, "small.test");
  bench.Queue(53, 2, "tiny.test");
  std::map<std::string, int> counts = ByDestination(bench.Tick(0));
  EXPECT_EQ(counts["big.test"], 2);
  EXPECT_EQ(counts["small.test"], 2);
  EXPECT_EQ(counts["tiny.test"], 2);
}

TEST(SchedulerTest, ADeadDestinationRestsAndIsProbedByOne) {
  Bench bench;
  bench.Queue(1, 20, "dead.test");
  std::vector<Grant> grants = bench.Tick(0);
  EXPECT_EQ(grants.size(), 5u);
  for (const Grant& grant : grants) bench.Fail(grant, 1, 2);
  EXPECT_TRUE(bench.Tick(50).empty());
  EXPECT_EQ(bench.scheduler().counts().resting_destinations, 1u);
  grants = bench.Tick(70);  // One minute and at most a tenth.
  ASSERT_EQ(grants.size(), 1u);
  bench.Fail(grants[0], 71, 9000);
  EXPECT_TRUE(bench.Tick(71 + 100).empty());  // Twice as long.
  grants = bench.Tick(71 + 133);
  ASSERT_EQ(grants.size(), 1u);
  bench.Deliver(grants[0], 210);
  EXPECT_GE(bench.Tick(211).size(), 1u);
}

TEST(SchedulerTest, OperatorsCanEndARest) {
  Bench bench;
  bench.Queue(1, 5, "dead.test");
  for (const Grant& grant : bench.Tick(0)) bench.Fail(grant, 1, 2);
  const std::vector<Event> other = {AttemptsAsked{{}, "other.test"}};
  bench.scheduler().OnEvents(other, AtSecond(3));
  EXPECT_TRUE(bench.Tick(3).empty());
  const std::vector<Event> asked = {AttemptsAsked{{}, "dead.test"}};
  bench.scheduler().OnEvents(asked, AtSecond(3));
  EXPECT_FALSE(bench.Tick(3).empty());
}

TEST(SchedulerTest, ANewPolicyEndsAllRests) {
  Bench bench;
  bench.Queue(1, 5, "dead.test");
  for (const Grant& grant : bench.Tick(0)) bench.Fail(grant, 1, 2);
  EXPECT_TRUE(bench.Tick(3).empty());
  bench.scheduler().OnPolicy();
  EXPECT_FALSE(bench.Tick(3).empty());
}

TEST(SchedulerTest, WhatExpiresAtAnUnreachableDestinationNeedsNoProbe) {
  Bench bench;
  bench.Queue(1, 30, "dead.test", 0, 30);
  for (const Grant& grant : bench.Tick(0)) bench.Fail(grant, 1, 40);
  std::vector<Grant> grants = bench.Tick(45);
  EXPECT_EQ(grants.size(), 30u);
  for (const Grant& grant : grants) EXPECT_EQ(grant.failed_already, "connection refused");
}

TEST(SchedulerTest, RatesAreKept) {
  Bench bench;
  bench.limits.rate_messages = 3;
  bench.limits.rate_period = absl::Seconds(60);
  bench.Queue(1, 100, "one.test");
  size_t granted = 0;
  for (double at = 0; at <= 120; ++at) {
    for (const Grant& grant : bench.Tick(at)) {
      bench.Deliver(grant, at);
      ++granted;
    }
  }
  EXPECT_GE(granted, 6u);
  EXPECT_LE(granted, 7u);  // One each 20 seconds.
}

TEST(SchedulerTest, WhatOthersTookOfALimitIsNotGranted) {
  Bench bench;
  bench.limits.concurrency_max = 3;
  ASSERT_TRUE(bench.permits().Take(2, "one.test", bench.limits, 1));
  bench.Queue(1, 5, "one.test");
  bench.Queue(6, 5, "two.test");
  std::vector<Grant> grants = bench.Tick(0);
  EXPECT_EQ(ByDestination(grants), (std::map<std::string, int>{{"one.test", 2}, {"two.test", 3}}));
  EXPECT_EQ(grants[0].slot + grants[2].slot, 3u);  // The first is taken.
  bench.permits().GiveBack("one.test", 0);
  grants = bench.scheduler().GoOn(AtSecond(0), bench.queue().tables());
  ASSERT_EQ(grants.size(), 1u);
  EXPECT_EQ(grants[0].slot, 0u);
}

TEST(SchedulerTest, APermitIsGivenBackOnceAndBeforeTheOutcomeIfAsked) {
  Bench bench;
  bench.limits.concurrency_max = 2;
  bench.Queue(1, 5, "one.test");
  std::vector<Grant> grants = bench.Tick(0);
  ASSERT_EQ(grants.size(), 2u);
  bench.scheduler().OnConnectionFree(grants[0].key, grants[0].attempt_id);
  EXPECT_EQ(bench.permits().in_use("one.test"), 1u);
  bench.permits().Advance(absl::Seconds(1));
  ASSERT_TRUE(bench.permits().Take(2, "one.test", bench.limits, 1));
  bench.Deliver(grants[0], 1);
  EXPECT_EQ(bench.permits().in_use("one.test"), 2u);
  bench.Deliver(grants[1], 1);
  EXPECT_EQ(bench.permits().in_use("one.test"), 1u);
}

// It waited its turn, and has its hands full when it comes: those behind it get the permit at once.
TEST(SchedulerTest, ATurnThatCannotBeTakenIsPassedOn) {
  SchedulerOptions options;
  options.attempts_max = 1;
  Bench bench(options);
  bench.limits.concurrency_max = 1;
  const std::optional<uint32_t> taken = bench.permits().Take(2, "one.test", bench.limits, 1);
  ASSERT_TRUE(taken);
  bench.Queue(1, 1, "one.test");
  EXPECT_EQ(bench.Tick(0).size(), 0u);
  EXPECT_FALSE(bench.permits().Take(3, "one.test", bench.limits, 1));
  bench.Queue(2, 1, "two.test");
  EXPECT_EQ(bench.Tick(0.1).size(), 1u);
  bench.permits().GiveBack("one.test", *taken);
  EXPECT_TRUE(bench.scheduler().GoOn(AtSecond(0.1), bench.queue().tables()).empty());
  EXPECT_TRUE(bench.permits().Take(3, "one.test", bench.limits, 1));
}

TEST(SchedulerTest, SuspendedDestinationsAndAPauseGrantNothing) {
  Bench bench;
  bench.Queue(1, 5, "one.test");
  bench.Queue(6, 1, "two.test");
  bench.scheduler().SetSuspended({"one.test"});
  EXPECT_EQ(ByDestination(bench.Tick(0)), (std::map<std::string, int>{{"two.test", 1}}));
  bench.scheduler().SetSuspended({});
  bench.scheduler().SetPaused(true);
  EXPECT_TRUE(bench.Tick(1).empty());
  bench.scheduler().SetPaused(false);
  EXPECT_EQ(bench.Tick(2).size(), 5u);
}

TEST(SchedulerTest, AHeldUnitLeavesTheWindow) {
  Bench bench({.attempts_max = 1}, true);
  bench.Queue(1, 2, "one.test");
  ASSERT_EQ(bench.Tick(0).size(), 1u);
  command::Command hold;
  hold.mutable_hold()->add_queue_ids(testing::TestId(2).ToString());
  bench.Tell(bench.queue().Apply(hold), 1);
  EXPECT_EQ(bench.scheduler().counts().window_units, 0u);
}

TEST(SchedulerTest, ANewLeadershipLeavesRunningAttemptsAlone) {
  Bench bench;
  bench.Queue(1, 2, "one.test");
  std::vector<Grant> grants = bench.Tick(0);
  ASSERT_EQ(grants.size(), 2u);
  bench.scheduler().OnFollower();
  bench.Queue(3, 1, "one.test", 1);
  EXPECT_TRUE(bench.Tick(1).empty());
  bench.scheduler().OnLeader(AtSecond(2));
  std::vector<Grant> after = bench.Tick(2);
  ASSERT_EQ(after.size(), 1u);
  EXPECT_EQ(after[0].key.queue_id, testing::TestId(3));
  EXPECT_GT(after[0].attempt_id, grants[1].attempt_id);
}

// A leader starts with what is in the tables, without events.
TEST(SchedulerTest, ANewLeaderFindsOldWork) {
  Bench bench;
  for (uint32_t i = 1; i <= 50; ++i) {
    bench.queue().Enqueue({.id = i, .to = {"r@d" + std::to_string(i) + ".test"}});
  }
  EXPECT_EQ(bench.Tick(0).size(), 50u);
}

TEST(SchedulerTest, MoreDestinationsThanPlacesAllGetTheirTurn) {
  SchedulerOptions options;
  options.destinations_active_max = 10;
  options.window_units_max = 100;
  options.attempts_max = 20;
  options.wake_rows_per_tick = 7;
  options.grants_per_turn_max = 3;
  Bench bench(options);
  for (uint32_t i = 0; i < 200; ++i) {
    bench.Queue(1 + i * 5, 5, "d" + std::to_string(i) + ".test");
  }
  std::map<std::string, int> delivered;
  for (double at = 0; at < 1000; ++at) {
    for (const Grant& grant : bench.Tick(at)) {
      bench.Deliver(grant, at);
      ++delivered[grant.destination];
    }
    EXPECT_LE(bench.scheduler().counts().active_destinations, 10u);
    EXPECT_LE(bench.scheduler().counts().window_units, 100u);
  }
  ASSERT_EQ(delivered.size(), 200u);
  for (const auto& [destination, count] : delivered) EXPECT_EQ(count, 5) << destination;
}

// The rows of a destination with a crowd of ready units, as far as a scheduler reads them.
void PutCrowd(const std::string& destination, uint32_t units, MemoryTables* tables) {
  rows::DestinationRow row;
  row.set_ready_units(units);
  tables->Put(DestinationKey(destination), EncodeRow(row));
  tables->Put(WakeKey(0, destination), "");
  const std::string value = EncodeListValue(1'000'000'000'000);
  for (uint32_t i = 0; i < units; ++i) {
    const UnitKey unit{QueueId::FromParts(i, 2, i), 0};
    tables->Put(
        EncodeListKey({UnitList::kReady, kDefaultPool, destination, kDefaultClass, i, unit}),
        value);
  }
}

// One blocked destination with a crowd of messages, and one message for somebody else: counted, not
// timed.
TEST(SchedulerTest, AMillionUnitsNeedNoMoreMemoryAndDelayNobody) {
  SchedulerOptions options;
  options.window_units_per_destination_max = 100;
  options.window_units_max = 1000;
  options.destinations_active_max = 500;
  Bench bench(options);
  PutCrowd("crowd.test", 1'000'000, &bench.queue().tables());
  const auto end = [&bench](const Grant& grant, AttemptEnded::Kind kind, double at) {
    bench.scheduler().OnAttemptEnded({grant.key, grant.attempt_id, kind, "refused"}, AtSecond(at));
  };
  std::vector<Grant> grants = bench.Tick(1);
  EXPECT_EQ(grants.size(), 5u);
  EXPECT_LE(bench.scheduler().counts().window_units, 100u);
  for (const Grant& grant : grants) end(grant, AttemptEnded::Kind::kUnreachable, 2);
  bench.Queue(1, 1, "other.test", 3);
  bench.queue().tables().ResetCounts();
  grants = bench.Tick(3);
  ASSERT_EQ(grants.size(), 1u);
  EXPECT_EQ(grants[0].destination, "other.test");
  bench.Deliver(grants[0], 3);
  size_t probes = 0;
  for (double at = 4; at < 100; ++at) {
    for (const Grant& grant : bench.Tick(at)) {
      end(grant, AttemptEnded::Kind::kAnswered, at);
      ++probes;
    }
    ASSERT_LE(bench.scheduler().counts().window_units, 100u);
  }
  EXPECT_GT(probes, 10u);
  // Every tick reads a bounded number of rows, whatever waits.
  EXPECT_LE(bench.queue().tables().counts().rows_scanned, 97 * 400u);
}

TEST(SchedulerTest, ASweepDoesNotPassOverAllThatWasEverDelivered) {
  Bench bench;
  uint32_t id = 0;
  const auto relay = [&bench, &id](double from, double to) {
    for (double at = from; at < to; at += 0.05) {
      ++id;
      bench.Queue(id, 1, "d" + std::to_string(id % 7) + ".test", at);
      for (const Grant& grant : bench.Tick(at)) bench.Deliver(grant, at);
    }
  };
  relay(0, 100);
  bench.queue().tables().ResetCounts();
  relay(100, 101);
  const uint64_t few = bench.queue().tables().counts().deleted_passed;
  relay(101, 1000);
  bench.queue().tables().ResetCounts();
  // From the beginning once in five seconds; the other sweeps need not begin so early.
  relay(1000, 1001);
  EXPECT_LE(bench.queue().tables().counts().deleted_passed, few + id);
}

TEST(SchedulerTest, WhatIsPutIntoTheIndexLateIsFoundAllTheSame) {
  Bench bench;
  EXPECT_TRUE(bench.Tick(100).empty());
  EXPECT_TRUE(bench.Tick(101).empty());
  // No event tells of it.
  bench.queue().Enqueue({.id = 1, .to = {"r@one.test"}, .at = 50});
  EXPECT_EQ(bench.Tick(101).size() + bench.Tick(106).size(), 1u);
}

TEST(SchedulerTest, AClockThatIsSetBackHidesNothing) {
  Bench bench;
  EXPECT_TRUE(bench.Tick(1000).empty());
  bench.queue().Enqueue({.id = 1, .to = {"r@one.test"}, .at = 400});
  EXPECT_EQ(bench.Tick(401).size(), 1u);
}

TEST(SchedulerTest, WhatRestedIsFoundAtOnceWhenItsRestIsOver) {
  Bench bench({.failures_to_rest = 1, .rest_first = absl::Seconds(100)});
  bench.Queue(1, 1, "one.test");
  bench.Queue(2, 1, "two.test", 0);
  for (const Grant& grant : bench.Tick(0)) bench.Fail(grant, 1, 2);
  for (double at = 1; at < 60; ++at) EXPECT_TRUE(bench.Tick(at).empty());
  bench.scheduler().OnEvents(std::vector<Event>{AttemptsAsked{{}, "one.test"}}, AtSecond(60));
  EXPECT_EQ(ByDestination(bench.Tick(60.05)), (std::map<std::string, int>{{"one.test", 1}}));
  // Within a tenth of a hundred seconds.
  size_t found = 0;
  for (double at = 61; at < 112; at += 0.05) found += bench.Tick(at).size();
  EXPECT_EQ(found, 1u);
}

TEST(SchedulerTest, TheWindowsOfManyShareOneBound) {
  SchedulerOptions options;
  options.window_units_per_destination_max = 100;
  options.window_units_max = 200;
  options.attempts_max = 10'000;
  options.concurrency_initial = 1;
  Bench bench(options);
  bench.limits.concurrency_max = 1;
  for (uint32_t i = 0; i < 20; ++i) bench.Queue(1 + i * 100, 100, "d" + std::to_string(i));
  EXPECT_EQ(ByDestination(bench.Tick(0)).size(), 20u);
  EXPECT_LE(bench.scheduler().counts().window_units, 200u);
}

TEST(SchedulerTest, RememberedDestinationsAreBounded) {
  SchedulerOptions options;
  options.destinations_remembered_max = 10;
  options.failures_to_rest = 1;
  Bench bench(options);
  for (uint32_t i = 0; i < 100; ++i) bench.Queue(1 + i, 1, "d" + std::to_string(i) + ".test");
  for (const Grant& grant : bench.Tick(0)) bench.Fail(grant, 1, 1000);
  EXPECT_LE(bench.scheduler().counts().remembered_destinations, 10u);
  EXPECT_EQ(bench.scheduler().Destinations(5).size(), 5u);
}

}  // namespace
}  // namespace holdfast::queue
