#include "node/cluster/load_watch.h"

#include <gtest/gtest.h>

#include "node/leader_table.h"

namespace holdfast::node {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(50);

// Node 1 of three, on a clock that only moves when told.
class LoadWatchTest : public testing::Test {
 protected:
  LoadWatchTest() {
    leaders_.Set(GroupId{1}, true);
    LoadWatch::Options options;
    options.self = NodeId{1};
    options.tick = kTick;
    // The machine that runs this test may be busy.
    options.load.cpu_wait_max = 0;
    watch_.emplace(
        LoadWatch::Parts{clock_,
                         [this] { return counters_; },
                         health_,
                         metrics_,
                         {[this](auto task) { return context_.TryPost(std::move(task)); }},
                         [this] { return memory_used_; },
                         [this] { return due_mail_waits_; },
                         context_,
                         [this](std::string why) { turned_away_ = std::move(why); }},
        options);
  }

  // The node's ticker, for so long.
  void Run(int seconds, absl::Duration tick = kTick) {
    const absl::Duration until = clock_.SinceBoot() + absl::Seconds(seconds);
    while (clock_.SinceBoot() < until) {
      clock_.Advance(tick);
      watch_->Tick();
      if (contexts_run_) context_.RunAll();
    }
    watch_->Judge(voters_, others_ahead_);
  }

  ManualClock clock_{absl::FromUnixSeconds(1'700'000'000)};
  LeaderTable leaders_{1};
  NodeHealth health_{leaders_, 100};
  MetricRegistry metrics_;
  ManualContext context_;
  raft::StoreCounters counters_;
  double memory_used_ = 0;
  bool due_mail_waits_ = false;
  bool contexts_run_ = true;
  std::string turned_away_;
  std::vector<VoterReport> voters_{{NodeId{1}, true, true, true, false},
                                   {NodeId{2}, true, true, true, false},
                                   {NodeId{3}, true, true, true, false}};
  std::vector<absl::Duration> others_ahead_{absl::ZeroDuration(), absl::ZeroDuration()};
  std::optional<LoadWatch> watch_;
};

TEST_F(LoadWatchTest, AnIdleNodeIsWellAndSaysSo) {
  Run(20);
  EXPECT_EQ(watch_->state().permille, 0u);
  EXPECT_TRUE(health_.MayAccept().ok());
  peer_call::Beat beat;
  watch_->FillBeat(&beat);
  EXPECT_TRUE(beat.load_part().empty());
  EXPECT_TRUE(beat.fitness().has_room());
  EXPECT_FALSE(beat.fitness().overloaded() || beat.fitness().clock_off());
  EXPECT_NE(metrics_.Render().find("holdfast_load_permille{part=\"fsync\"} 0"), std::string::npos);
}

TEST_F(LoadWatchTest, ASyncThatHangsIsSeenBeforeItEnds) {
  counters_.sync_running = absl::Seconds(5);
  Run(6);
  EXPECT_TRUE(watch_->state().overloaded);
  EXPECT_EQ(watch_->state().part, LoadPart::kSync);
}

TEST_F(LoadWatchTest, TheMeanOfTheSyncsCounts) {
  for (int second = 0; second < 10; ++second) {
    counters_.syncs += 4;
    counters_.sync_time += absl::Milliseconds(1600);
    Run(1);
  }
  EXPECT_NEAR(watch_->state().permille, 1333, 30);
  EXPECT_TRUE(watch_->state().overloaded);
  EXPECT_FALSE(watch_->state().refusing);
  EXPECT_TRUE(health_.MayAccept().ok());  // Groups go, mail stays welcome.
  EXPECT_EQ(turned_away_, "");
}

// Each looks short at the moment of most samples, for none of them ends between two.
TEST_F(LoadWatchTest, SyncsThatTakeLongerThanASampleCountInFull) {
  for (int i = 0; i < 6; ++i) {
    counters_.sync_running = absl::Milliseconds(200);
    Run(1);
    counters_.sync_running = absl::Milliseconds(1200);
    Run(1);
    counters_.syncs += 1;
    counters_.sync_time += absl::Milliseconds(1500);
    counters_.sync_running = absl::Milliseconds(100);
    Run(1);
    if (i > 2) {
      EXPECT_TRUE(watch_->state().refusing) << i;
    }
  }
  counters_.sync_running = absl::ZeroDuration();
  Run(10);
  EXPECT_EQ(watch_->state().refusing, false);
}

// On a disk whose syncs take 1.5 s the witness is written with each batch: three in a row, of which
// one is the log's.
TEST_F(LoadWatchTest, ADiskThatWritesTheWitnessIsNotIdle) {
  for (int i = 0; i < 6; ++i) {
    counters_.syncs += 1;
    counters_.sync_time += absl::Milliseconds(1500);
    counters_.sync_running = absl::ZeroDuration();
    Run(1);
    counters_.sync_running = absl::Milliseconds(900);
    Run(1);
    counters_.witness_syncs += 1;
    counters_.sync_running = absl::ZeroDuration();
    Run(1);
    counters_.witness_syncs += 1;
    Run(1);
    if (i > 0) {
      EXPECT_TRUE(watch_->state().refusing) << i;
    }
  }
  Run(10);
  EXPECT_FALSE(watch_->state().refusing);
  EXPECT_FALSE(watch_->state().overloaded);
}

TEST_F(LoadWatchTest, WhatIsRefusedForIsNamedAndNotTheMailThatWaits) {
  memory_used_ = 2.0;  // 2.5 times what can be borne.
  due_mail_waits_ = true;
  Run(10);
  memory_used_ = 1.0;
  Run(120);
  EXPECT_EQ(watch_->state().part, LoadPart::kDueMail);
  const absl::Status refused = health_.MayAccept();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(refused.message().find("a memory budget is full"), std::string::npos) << refused;
  memory_used_ = 0.1;
  Run(10);
  EXPECT_TRUE(health_.MayAccept().ok());
  EXPECT_EQ(turned_away_, "");
  EXPECT_TRUE(watch_->state().overloaded);
}

TEST_F(LoadWatchTest, FarBeyondThatMailIsRefusedAndClientsGoElsewhereIfThatHelps) {
  counters_.sync_running = absl::Seconds(5);
  Run(10);
  EXPECT_EQ(health_.MayAccept().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(turned_away_, "This node is overloaded");
  voters_[1].overloaded = voters_[2].overloaded = true;
  Run(1);
  EXPECT_EQ(health_.MayAccept().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(turned_away_, "");  // They hear it, and why, at MAIL.
  counters_.sync_running = absl::ZeroDuration();
  Run(10);
  EXPECT_TRUE(health_.MayAccept().ok());
  EXPECT_TRUE(watch_->state().recovering);
}

TEST_F(LoadWatchTest, LateContextsAndLateTicksAreEventLoopLag) {
  contexts_run_ = false;
  Run(6);
  EXPECT_TRUE(watch_->state().overloaded);
  EXPECT_EQ(watch_->state().part, LoadPart::kEventLoop);
  contexts_run_ = true;
  Run(20);
  EXPECT_FALSE(watch_->state().overloaded);
  Run(10, absl::Milliseconds(900));
  EXPECT_TRUE(watch_->state().overloaded);
  EXPECT_EQ(watch_->state().part, LoadPart::kEventLoop);
}

TEST_F(LoadWatchTest, DueMailThatWaitsForThisNodeOverloadsItAfterAWhile) {
  due_mail_waits_ = true;
  Run(50);
  EXPECT_FALSE(watch_->state().overloaded);
  Run(30);
  EXPECT_TRUE(watch_->state().overloaded);
  EXPECT_EQ(watch_->state().part, LoadPart::kDueMail);
  Run(600);
  EXPECT_TRUE(health_.MayAccept().ok());
}

TEST_F(LoadWatchTest, AFullMemoryBudgetOverloads) {
  memory_used_ = 0.95;
  Run(10);
  EXPECT_TRUE(watch_->state().overloaded);
  EXPECT_EQ(watch_->state().part, LoadPart::kMemory);
}

TEST_F(LoadWatchTest, WithoutRoomOnAMajorityNobodyTakesMail) {
  voters_[1].has_room = voters_[2].has_room = false;
  Run(1);
  EXPECT_EQ(health_.MayAccept(1).code(), absl::StatusCode::kResourceExhausted);
  voters_[1].has_room = true;
  Run(1);
  EXPECT_TRUE(health_.MayAccept(1).ok());
}

TEST_F(LoadWatchTest, AClockThatIsOffStampsNothing) {
  others_ahead_ = {absl::Seconds(40), absl::Seconds(41)};
  Run(1);
  EXPECT_TRUE(health_.MayStamp().ok());
  for (int i = 0; i < 4; ++i) Run(1);
  EXPECT_EQ(Message(health_.MayStamp()),
            "this node's clock is 40 s behind the median of all clocks");
  EXPECT_TRUE(watch_->clock_state().off);
  peer_call::Beat beat;
  watch_->FillBeat(&beat);
  EXPECT_TRUE(beat.fitness().clock_off());
  EXPECT_NE(metrics_.Render().find("holdfast_clock_off 1"), std::string::npos);
  others_ahead_ = {absl::Seconds(1), absl::Seconds(1)};
  for (int i = 0; i < 4; ++i) Run(1);
  EXPECT_TRUE(health_.MayStamp().ok());
}

}  // namespace
}  // namespace holdfast::node
