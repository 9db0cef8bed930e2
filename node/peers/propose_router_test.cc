#include "node/peers/propose_router.h"

#include <gtest/gtest.h>

#include <deque>
#include <optional>

#include "node/peers/peer_calls.h"

namespace holdfast::node {
namespace {

constexpr GroupId kGroup{3};
constexpr NodeId kOther{2};

struct Call {
  NodeId to;
  std::string request;
  std::function<void(absl::StatusOr<std::string>)> done;
};

class ProposeRouterTest : public testing::Test {
 protected:
  ProposeRouterTest()
      : router_({[this](GroupId, raft::Proposal proposal, raft::ProposeCallback done) {
                   here_.push_back({std::move(proposal), std::move(done)});
                 },
                 [this](GroupId) { return leader_; },
                 [this](NodeId to, std::string request, absl::Duration, auto done) {
                   calls_.push_back({to, std::move(request), std::move(done)});
                 },
                 clock_, NodeId{1}},
                {.timeout = absl::Seconds(5), .waiting_max = 3}) {}

  void Propose(absl::Duration until = absl::InfiniteDuration()) {
    router_.Propose(
        kGroup, {"command", {std::make_shared<const std::string>("body")}},
        [this](const raft::ProposeResult& result) { answers_.push_back(result); }, until);
  }
  void AnswerHere(absl::Status status, uint64_t index = 0) {
    const auto done = std::move(here_.front().second);
    here_.pop_front();
    done({std::move(status), index, 1});
  }
  void AnswerCall(absl::StatusOr<std::string> answer) {
    const auto done = std::move(calls_.front().done);
    calls_.pop_front();
    done(std::move(answer));
  }
  static std::string Proposed(absl::Status status, uint64_t index = 0) {
    return EncodeAnswer(ProposedAnswer({std::move(status), index, 4}));
  }

  ManualClock clock_{absl::UnixEpoch()};
  KnownLeader leader_;
  std::deque<std::pair<raft::Proposal, raft::ProposeCallback>> here_;
  std::deque<Call> calls_;
  std::vector<raft::ProposeResult> answers_;
  ProposeRouter router_;
};

TEST_F(ProposeRouterTest, ALeaderHereIsAskedHere) {
  leader_ = {NodeId{1}, true};
  Propose();
  ASSERT_EQ(here_.size(), 1u);
  EXPECT_EQ(here_.front().first.command, "command");
  AnswerHere(absl::OkStatus(), 9);
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(answers_[0].index, 9u);
  EXPECT_TRUE(calls_.empty());
}

TEST_F(ProposeRouterTest, ALeaderElsewhereIsCalledWithTheBytes) {
  leader_ = {kOther, false};
  Propose();
  ASSERT_EQ(calls_.size(), 1u);
  EXPECT_EQ(calls_.front().to, kOther);
  auto request = DecodeRequest(calls_.front().request);
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->propose().group(), 3u);
  EXPECT_EQ(request->propose().bodies(0), "body");
  AnswerCall(Proposed(absl::AlreadyExistsError("known"), 12));
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(answers_[0].status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(answers_[0].index, 12u);
  EXPECT_EQ(answers_[0].term, 4u);
}

TEST_F(ProposeRouterTest, WhatCertainlyDidNotHappenIsOfferedToTheNextLeader) {
  leader_ = {NodeId{1}, true};
  Propose();
  AnswerHere(absl::FailedPreconditionError("not the leader"));
  leader_ = {};
  router_.Tick();
  EXPECT_TRUE(answers_.empty());
  leader_ = {kOther, false};
  router_.Tick();
  ASSERT_EQ(calls_.size(), 1u);
  AnswerCall(absl::UnavailableError("no connection"));
  router_.Tick();
  ASSERT_EQ(calls_.size(), 1u);
  AnswerCall(Proposed(absl::AbortedError("overwritten")));
  router_.Tick();
  ASSERT_EQ(calls_.size(), 1u);
  AnswerCall(Proposed(absl::OkStatus(), 20));
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_TRUE(answers_[0].status.ok());
}

TEST_F(ProposeRouterTest, WhatMayHaveHappenedIsNeverOfferedAgain) {
  for (const absl::StatusOr<std::string>& answer :
       {absl::StatusOr<std::string>(absl::DeadlineExceededError("broken")),
        absl::StatusOr<std::string>(absl::CancelledError("stopped")),
        absl::StatusOr<std::string>("garbage"),
        absl::StatusOr<std::string>(Proposed(absl::DeadlineExceededError("no majority")))}) {
    leader_ = {kOther, false};
    answers_.clear();
    Propose();
    AnswerCall(answer);
    ASSERT_EQ(answers_.size(), 1u);
    EXPECT_EQ(answers_[0].status.code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_EQ(answers_[0].index, 0u);
    router_.Tick();
    EXPECT_TRUE(calls_.empty());
  }
}

TEST_F(ProposeRouterTest, WithoutALeaderTheWaitEnds) {
  Propose();
  clock_.Advance(absl::Milliseconds(4990));
  router_.Tick();
  EXPECT_TRUE(answers_.empty());
  clock_.Advance(absl::Milliseconds(10));
  router_.Tick();
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(answers_[0].status.code(), absl::StatusCode::kUnavailable);
}

// Time spent without a leader is not added to the time that the leader may take.
TEST_F(ProposeRouterTest, TheAnswerComesInTimeWhateverTheLeaderDoes) {
  Propose();
  clock_.Advance(absl::Milliseconds(4900));
  leader_ = {NodeId{1}, true};
  router_.Tick();
  ASSERT_EQ(here_.size(), 1u);
  clock_.Advance(absl::Milliseconds(100));
  router_.Tick();
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(answers_[0].status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(answers_[0].index, 0u);
  AnswerHere(absl::OkStatus(), 9);  // Too late: once is enough.
  EXPECT_EQ(answers_.size(), 1u);
}

// Behind one that has more time.
TEST_F(ProposeRouterTest, TheAnswerComesWhenItIsWanted) {
  leader_ = {NodeId{1}, true};
  Propose();
  Propose(clock_.SinceBoot() + absl::Seconds(3));
  clock_.Advance(absl::Seconds(3));
  router_.Tick();
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(answers_[0].status.code(), absl::StatusCode::kDeadlineExceeded);
  clock_.Advance(absl::Seconds(2));
  router_.Tick();
  ASSERT_EQ(answers_.size(), 2u);
  Propose(clock_.SinceBoot());
  ASSERT_EQ(answers_.size(), 3u);
  EXPECT_EQ(answers_[2].status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(here_.size(), 2u);  // Not the third.
}

TEST_F(ProposeRouterTest, ALateRefusalIsNotOfferedAgain) {
  leader_ = {kOther, false};
  Propose();
  clock_.Advance(absl::Seconds(5));
  router_.Tick();
  ASSERT_EQ(answers_.size(), 1u);
  AnswerCall(absl::UnavailableError("no connection"));
  router_.Tick();
  EXPECT_TRUE(calls_.empty());
  EXPECT_EQ(answers_.size(), 1u);
}

// Elected, and its first entry not yet applied: nobody to call.
TEST_F(ProposeRouterTest, AnElectedNodeThatIsNotReadyWaits) {
  leader_ = {NodeId{1}, false};
  Propose();
  EXPECT_TRUE(calls_.empty());
  EXPECT_EQ(router_.waiting(), 1u);
  leader_.here = true;
  router_.Tick();
  EXPECT_EQ(here_.size(), 1u);
}

TEST_F(ProposeRouterTest, WhatWaitedForItsWholeTimeIsNotOfferedAnyMore) {
  Propose();
  clock_.Advance(absl::Seconds(5));
  leader_ = {NodeId{1}, true};
  router_.Tick();
  EXPECT_TRUE(here_.empty());
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(answers_[0].status.code(), absl::StatusCode::kUnavailable);
}

TEST_F(ProposeRouterTest, ARefusalByTheStateMachineIsAnAnswer) {
  leader_ = {NodeId{1}, true};
  Propose();
  AnswerHere(absl::FailedPreconditionError("no such unit"), 8);
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(answers_[0].status.code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ProposeRouterTest, OnlySoManyWait) {
  for (int i = 0; i < 4; ++i) Propose();
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(answers_[0].status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(router_.waiting(), 3u);
  router_.Stop();
  ASSERT_EQ(answers_.size(), 4u);
  EXPECT_EQ(answers_[3].status.code(), absl::StatusCode::kUnavailable);
  Propose();
  EXPECT_EQ(answers_.size(), 5u);
}

}  // namespace
}  // namespace holdfast::node
