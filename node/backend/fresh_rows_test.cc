#include "node/backend/fresh_rows.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "node/peers/peer_calls.h"

namespace holdfast::node {
namespace {

constexpr absl::Duration kLong = absl::Seconds(30);
constexpr absl::Duration kShort = absl::Milliseconds(300);
const GroupId kGroup{4};

std::string PointAnswer(uint64_t index) {
  peer_call::Answer answer;
  answer.mutable_read_point()->set_group(kGroup.value());
  answer.mutable_read_point()->set_index(index);
  return EncodeAnswer(std::move(answer));
}

// Node 1, which applies one entry whenever it is asked how far it is.
class FreshRowsTest : public testing::Test {
 protected:
  using Answered = std::function<void(absl::StatusOr<std::string>)>;

  FreshRows Make() {
    return FreshRows({[this](GroupId, raft::ReadCallback done, raft::PointCallback confirmed) {
                        read_(done, confirmed);
                      },
                      [this](GroupId) { return applied_ < applies_to_ ? applied_++ : applied_; },
                      [this](GroupId) { return leader_; },
                      [this](NodeId to, std::string request, absl::Duration, Answered done) {
                        asked_.push_back(to);
                        EXPECT_EQ(DecodeRequest(request)->read_point().group(), kGroup.value());
                        answer_(std::move(done));
                      },
                      clock_, NodeId{1}});
  }
  std::vector<LateGroup> Wait(absl::Duration timeout) { return Make().Wait({kGroup}, timeout); }

  SystemClock clock_;
  KnownLeader leader_{NodeId{2}, false};
  raft::LogIndex applied_ = 0;
  raft::LogIndex applies_to_ = 1000;
  std::vector<NodeId> asked_;
  std::function<void(const Answered&)> answer_ = [](const Answered& done) { done(PointAnswer(7)); };
  std::function<void(const raft::ReadCallback&, const raft::PointCallback&)> read_;
};

TEST_F(FreshRowsTest, RowsAreAwaitedUpToTheLeadersPoint) {
  EXPECT_TRUE(Wait(kLong).empty());
  EXPECT_GE(applied_, 7u);
  EXPECT_EQ(asked_, std::vector<NodeId>{NodeId{2}});
}

TEST_F(FreshRowsTest, ANodeThatDoesNotCatchUpIsLate) {
  applied_ = applies_to_ = 5;
  const std::vector<LateGroup> late = Wait(kShort);
  ASSERT_EQ(late.size(), 1u);
  EXPECT_EQ(late[0].group, kGroup);
  EXPECT_EQ(late[0].reason, "this node is 2 entries behind");
}

TEST_F(FreshRowsTest, WithoutALeaderNothingIsFresh) {
  leader_ = {};
  const std::vector<LateGroup> late = Wait(kShort);
  ASSERT_EQ(late.size(), 1u);
  EXPECT_EQ(late[0].reason, "nobody leads it, as far as this node knows");
  EXPECT_TRUE(asked_.empty());
}

TEST_F(FreshRowsTest, ARefusalIsAskedAgain) {
  answer_ = [this](const Answered& done) {
    if (asked_.size() > 1) return done(PointAnswer(7));
    leader_.node = NodeId{3};
    done(absl::FailedPreconditionError("not the leader"));
  };
  EXPECT_TRUE(Wait(kLong).empty());
  EXPECT_EQ(asked_, (std::vector<NodeId>{NodeId{2}, NodeId{3}}));
}

TEST_F(FreshRowsTest, ALeaderThatIsSilentIsSaidToBe) {
  Answered kept;
  answer_ = [&kept](const Answered& done) { kept = done; };
  const std::vector<LateGroup> late = Wait(kShort);
  ASSERT_EQ(late.size(), 1u);
  EXPECT_EQ(late[0].reason, "its leader was not heard in time");
  kept(PointAnswer(7));  // Nobody waits for it any more.
}

TEST_F(FreshRowsTest, WhoeverLeadsByNowIsAskedAndTheFirstAnswerCounts) {
  Answered kept;
  answer_ = [this, &kept](const Answered& done) {
    if (asked_.size() == 1) {
      kept = done;
      leader_.node = NodeId{3};
      return;
    }
    // The one that hung answers first, late though it is.
    kept(PointAnswer(7));
    done(absl::FailedPreconditionError("not the leader"));
  };
  EXPECT_TRUE(Wait(kLong).empty());
  EXPECT_EQ(asked_, (std::vector<NodeId>{NodeId{2}, NodeId{3}}));
}

TEST_F(FreshRowsTest, AnOlderBuildCannotBeAsked) {
  answer_ = [](const Answered& done) { done(DecodeRequest(EncodeRequest({})).status()); };
  applies_to_ = 0;
  EXPECT_TRUE(Wait(kLong).empty());
}

TEST_F(FreshRowsTest, ARefusalIsNoOlderBuild) {
  answer_ = [](const Answered& done) { done(absl::UnimplementedError("level 2 is not 1")); };
  ASSERT_EQ(Wait(kShort).size(), 1u);
}

TEST_F(FreshRowsTest, WhoWasJustElectedAsksItself) {
  leader_ = {NodeId{1}, false};
  read_ = [](const raft::ReadCallback& done, const raft::PointCallback&) {
    done(raft::ReadPoint{3, {}});
  };
  EXPECT_TRUE(Wait(kLong).empty());
  EXPECT_TRUE(asked_.empty());
}

TEST_F(FreshRowsTest, ManyThatWaitLeaveThreadsForOthers) {
  std::atomic<int> asked = 0;
  std::atomic<bool> answers = false;
  const FreshRows rows({nullptr, [](GroupId) { return raft::LogIndex{7}; },
                        [](GroupId) {
                          return KnownLeader{NodeId{2}, false};
                        },
                        [&](NodeId, const std::string&, absl::Duration, const Answered& done) {
                          ++asked;
                          if (answers) done(PointAnswer(7));
                        },
                        clock_, NodeId{1}});
  std::vector<std::thread> waiting;
  for (int i = 0; i < 4; ++i) {
    waiting.emplace_back([&rows] { EXPECT_TRUE(rows.Wait({kGroup}, kLong).empty()); });
  }
  while (asked < 4) std::this_thread::yield();
  // The others wait for half a minute; this one would, too.
  EXPECT_EQ(rows.Wait({kGroup}, absl::InfiniteDuration()).size(), 1u);
  answers = true;  // They ask again.
  for (std::thread& one : waiting) one.join();
  EXPECT_TRUE(rows.Wait({kGroup}, kLong).empty());
}

TEST_F(FreshRowsTest, WhatIsLedHereIsReadHere) {
  leader_ = {NodeId{1}, true};
  // The point comes first, the answer when it is applied.
  read_ = [](const raft::ReadCallback& done, const raft::PointCallback& confirmed) {
    confirmed({9, {}});
    done(absl::DeadlineExceededError("a slow disk"));
  };
  EXPECT_TRUE(Wait(kLong).empty());
  EXPECT_GE(applied_, 9u);
  EXPECT_TRUE(asked_.empty());
  read_ = [](const raft::ReadCallback& done, const raft::PointCallback&) {
    done(absl::DeadlineExceededError("no majority"));
  };
  const std::vector<LateGroup> late = Wait(kShort);
  ASSERT_EQ(late.size(), 1u);
  EXPECT_EQ(late[0].reason, "no majority");
}

}  // namespace
}  // namespace holdfast::node
