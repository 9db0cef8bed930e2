#include "node/delivery/unreadable_units.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace holdfast::node {
namespace {

using State = UnreadableUnits::State;

const queue::UnitKey kUnit{*queue::QueueId::Parse("01J9ZC3W5R0G4000"), 2};
const raft::BodyRef kBody{{GroupId{1}, 5, 2, 0}, 100, 7};
constexpr uint64_t kAttempt = 77;

class UnreadableUnitsTest : public testing::Test {
 protected:
  UnreadableUnitsTest() {
    UnreadableUnits::Parts parts{apply_, clock_, nullptr, nullptr, nullptr, nullptr, nullptr};
    parts.mend = [this](const raft::BodyRef& ref, std::function<bool()> wanted,
                        std::function<void(const absl::Status&)> done) {
      EXPECT_EQ(ref, kBody);
      ++asked_;
      wanted_ = std::move(wanted);
      done_ = std::move(done);
    };
    parts.state_of = [this](const queue::UnitKey&) { return state_; };
    parts.hold = [this](const queue::UnitKey&, const std::string& reason) {
      held_.push_back(reason);
    };
    parts.put_off = [this](const queue::UnitKey&, uint64_t attempt) {
      EXPECT_EQ(attempt, kAttempt);
      ++put_off_;
    };
    parts.end = [this](const queue::UnitKey& unit, uint64_t attempt) {
      EXPECT_EQ(unit, kUnit);
      EXPECT_EQ(attempt, kAttempt);
      ++ended_;
    };
    units_.emplace(std::move(parts));
    units_->Add(kUnit, kAttempt, kBody);
  }

  void Answer(absl::StatusCode code) {
    done_(absl::Status(code, "so it is"));
    apply_.RunAll();
  }
  void TickAfter(absl::Duration time) {
    clock_.Advance(time);
    units_->Tick();
    apply_.RunAll();
  }

  ManualContext apply_;
  ManualClock clock_{absl::FromUnixSeconds(1'000'000)};
  State state_ = State::kWaits;
  int asked_ = 0;
  int put_off_ = 0;
  int ended_ = 0;
  std::vector<std::string> held_;
  std::function<bool()> wanted_;
  std::function<void(const absl::Status&)> done_;
  std::optional<UnreadableUnits> units_;
};

TEST_F(UnreadableUnitsTest, WhatIsMendedIsAttemptedAgainAtOnce) {
  EXPECT_EQ(asked_, 1);
  EXPECT_EQ(ended_, 0);
  EXPECT_TRUE(wanted_());
  Answer(absl::StatusCode::kOk);
  EXPECT_EQ(ended_, 1);
  TickAfter(absl::Minutes(5));
  EXPECT_EQ(asked_ + ended_ + put_off_, 2);
}

TEST_F(UnreadableUnitsTest, WhatNobodyHasIsHeldAndTheGrantEndsOnceThatIsApplied) {
  Answer(absl::StatusCode::kNotFound);
  ASSERT_EQ(held_.size(), 1u);
  EXPECT_EQ(held_[0], "so it is");
  EXPECT_EQ(ended_, 0);
  // The proposal may have been lost.
  TickAfter(absl::Seconds(2));
  EXPECT_EQ(held_.size(), 2u);
  state_ = State::kHeld;
  TickAfter(absl::Seconds(2));
  EXPECT_EQ(ended_, 1);
  EXPECT_EQ(asked_, 1);
  EXPECT_EQ(put_off_, 0);
}

TEST_F(UnreadableUnitsTest, NodesThatDontAnswerAreAskedAgainAndThenTheUnitIsPutOff) {
  Answer(absl::StatusCode::kUnavailable);
  TickAfter(absl::Seconds(2));
  EXPECT_EQ(asked_, 2);
  EXPECT_EQ(ended_ + put_off_, 0);
  clock_.Advance(absl::Minutes(2));
  Answer(absl::StatusCode::kUnavailable);
  EXPECT_EQ(put_off_, 1);
  EXPECT_TRUE(held_.empty());
}

TEST_F(UnreadableUnitsTest, OneQuestionIsOutAtATime) {
  TickAfter(absl::Seconds(10));
  EXPECT_EQ(asked_, 1);
}

TEST_F(UnreadableUnitsTest, ARemovedMessageWaitsForNothing) {
  state_ = State::kGone;
  EXPECT_FALSE(wanted_());
  TickAfter(absl::Seconds(2));
  EXPECT_EQ(ended_, 1);
}

TEST_F(UnreadableUnitsTest, AnAnswerAfterTheLeadershipReachesNobody) {
  units_->Clear();
  EXPECT_EQ(ended_, 1);
  Answer(absl::StatusCode::kNotFound);
  EXPECT_TRUE(held_.empty());
  units_.reset();
  Answer(absl::StatusCode::kOk);
  EXPECT_FALSE(wanted_());
  EXPECT_EQ(ended_, 1);
}

}  // namespace
}  // namespace holdfast::node
