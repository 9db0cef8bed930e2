#include "node/delivery/recorder.h"

#include <gtest/gtest.h>

#include <deque>

#include "base/context.h"
#include "queue/state/command_codec.h"

namespace holdfast::node {
namespace {

struct Offered {
  raft::Proposal proposal;
  raft::ProposeCallback done;
};

// A recorder whose group is the test: it sees what is proposed, and answers.
class RecorderTest : public testing::Test {
 protected:
  static constexpr uint64_t kBodyBytes = uint64_t{1} << 20;

  RecorderTest()
      : recorder_(std::make_shared<Recorder>(
            GroupId{3},
            [this](raft::Proposal proposal, raft::ProposeCallback done) {
              ++offered_here_;
              offered_.push_back({std::move(proposal), std::move(done)});
            },
            [this](raft::Proposal proposal, raft::ProposeCallback done) {
              offered_.push_back({std::move(proposal), std::move(done)});
            },
            apply_, policy_)) {}

  static MadeOutcome Made(uint64_t number, size_t notices = 0, size_t text_bytes = 0) {
    MadeOutcome made;
    made.outcome.set_queue_id("Q" + std::to_string(number));
    made.outcome.set_attempt_id(number);
    made.outcome.add_recipients()->set_text(std::string(text_bytes, 'x'));
    for (size_t i = 0; i < notices; ++i) {
      made.notices.push_back({{}, std::make_shared<const std::string>(kBodyBytes, 'n')});
    }
    return made;
  }

  void Add(MadeOutcome made) {
    recorder_->Outcome(std::move(made), [this] { ++settled_; });
  }

  // The oldest proposal's command; the proposal itself stays to be answered.
  command::Command Command() {
    auto decoded = queue::DecodeCommand(offered_.front().proposal.command);
    EXPECT_TRUE(decoded.ok());
    return decoded.ok() ? *std::move(decoded) : command::Command{};
  }
  int Attempts() { return Command().outcomes().attempts_size(); }

  void Answer(absl::Status status, uint64_t index = 0) {
    Offered one = std::move(offered_.front());
    offered_.pop_front();
    one.done({std::move(status), index, 1});
    apply_.RunAll();
  }

  PolicyHolder policy_;
  ManualContext apply_;
  std::deque<Offered> offered_;
  int offered_here_ = 0;  // To this node's group host alone.
  std::shared_ptr<Recorder> recorder_;
  int settled_ = 0;
};

TEST_F(RecorderTest, OutcomesGatherWhileACommandIsOnItsWay) {
  recorder_->OnLeaderChange(true);
  for (uint64_t i = 1; i <= 5; ++i) Add(Made(i));
  ASSERT_EQ(offered_.size(), 1u);
  EXPECT_EQ(Attempts(), 1);
  Answer(absl::OkStatus(), 7);
  ASSERT_EQ(offered_.size(), 1u);
  EXPECT_EQ(Attempts(), 4);
  EXPECT_EQ(settled_, 1);
  Answer(absl::OkStatus(), 8);
  EXPECT_EQ(settled_, 5);
  EXPECT_EQ(recorder_->outcomes_waiting(), 0u);
}

TEST_F(RecorderTest, ACommandIsBoundedInBytesAndBodies) {
  recorder_->OnLeaderChange(true);
  Add(Made(1));
  for (uint64_t i = 2; i <= 9; ++i) Add(Made(i, 2));               // 2 MiB of notices each.
  for (uint64_t i = 10; i <= 13; ++i) Add(Made(i, 0, 300 << 10));  // Texts of 300 KiB.
  Answer(absl::OkStatus(), 1);
  int commands = 0;
  for (; !offered_.empty(); ++commands) {
    size_t body_bytes = 0;
    for (const raft::Body& body : offered_.front().proposal.bodies) body_bytes += body->size();
    EXPECT_LE(body_bytes, size_t{4} << 20);
    EXPECT_LE(offered_.front().proposal.command.size(), size_t{600} << 10);
    Answer(absl::OkStatus(), static_cast<uint64_t>(commands) + 2);
  }
  EXPECT_EQ(settled_, 13);
  // Four of 4 MiB of notices, the last with room for one text; then three texts.
  EXPECT_EQ(commands, 7);
}

TEST_F(RecorderTest, ATooLargeCommandIsHalvedUntilItFits) {
  recorder_->OnLeaderChange(true);
  Add(Made(1));
  for (uint64_t i = 2; i <= 9; ++i) Add(Made(i, 1));
  Answer(absl::OkStatus(), 1);
  const int before = Attempts();
  ASSERT_GT(before, 1);
  Answer(absl::InvalidArgumentError("too large"));
  ASSERT_EQ(offered_.size(), 1u);
  EXPECT_EQ(Attempts(), before / 2);
  // In the order in which they happened.
  EXPECT_EQ(Command().outcomes().attempts(0).queue_id(), "Q2");
  while (Attempts() > 1) Answer(absl::InvalidArgumentError("too large"));
  // Alone and still too large: recorded without what makes it so, never forgotten.
  EXPECT_FALSE(offered_.front().proposal.bodies.empty());
  Answer(absl::InvalidArgumentError("too large"));
  ASSERT_EQ(offered_.size(), 1u);
  EXPECT_EQ(Attempts(), 1);
  EXPECT_TRUE(offered_.front().proposal.bodies.empty());
  for (uint64_t index = 2; !offered_.empty(); ++index) Answer(absl::OkStatus(), index);
  EXPECT_EQ(settled_, 9);
}

TEST_F(RecorderTest, WhatIsNotKnownToBeRecordedIsOfferedAgain) {
  recorder_->OnLeaderChange(true);
  Add(Made(1));
  Answer(absl::DeadlineExceededError("no majority"));
  EXPECT_TRUE(recorder_->stuck());
  EXPECT_TRUE(offered_.empty());
  Add(Made(2));
  EXPECT_TRUE(offered_.empty());  // Nothing new goes before it.
  recorder_->Tick();
  ASSERT_EQ(offered_.size(), 1u);
  EXPECT_EQ(Command().outcomes().attempts(0).queue_id(), "Q1");
  Answer(absl::FailedPreconditionError("known already"), 9);  // The state has spoken.
  EXPECT_FALSE(recorder_->stuck());
  EXPECT_EQ(settled_, 1);
  Answer(absl::OkStatus(), 10);
  EXPECT_EQ(settled_, 2);
}

TEST_F(RecorderTest, OutcomesOutliveLeadership) {
  recorder_->OnLeaderChange(true);
  Add(Made(1));
  Add(Made(2));
  recorder_->OnLeaderChange(false);
  Add(Made(3));  // Of an attempt that was past its dot.
  EXPECT_EQ(settled_, 0);
  Answer(absl::DeadlineExceededError("leadership was lost"));
  recorder_->Tick();
  Answer(absl::OkStatus(), 5);  // By the new leader.
  EXPECT_EQ(settled_, 1);
  ASSERT_EQ(offered_.size(), 1u);
  EXPECT_EQ(Attempts(), 2);
  Answer(absl::OkStatus(), 6);
  EXPECT_EQ(settled_, 3);
  EXPECT_EQ(offered_here_, 0);
}

TEST_F(RecorderTest, AnswersToIntentsOfAnEarlierLeadershipAreNobodys) {
  recorder_->OnLeaderChange(true);
  int answers = 0;
  command::Intent intent;
  intent.set_attempt_id(11);
  absl::Status first;
  recorder_->Intent(intent, [&](absl::Status status) {
    first = std::move(status);
    ++answers;
  });
  recorder_->OnLeaderChange(false);
  EXPECT_EQ(answers, 1);
  // It is in the log, and may yet be committed by whoever leads then.
  EXPECT_EQ(first.code(), absl::StatusCode::kDeadlineExceeded);
  recorder_->OnLeaderChange(true);
  intent.set_attempt_id(12);
  recorder_->Intent(intent, [&](const absl::Status&) { ++answers; });
  ASSERT_EQ(offered_.size(), 2u);
  EXPECT_EQ(offered_here_, 2);
  Answer(absl::DeadlineExceededError("overwritten"));  // Of the first one.
  EXPECT_EQ(answers, 1);
  Answer(absl::DeadlineExceededError("no majority"));
  EXPECT_EQ(answers, 2);
}

TEST_F(RecorderTest, AnIntentThatIsNotAppliedGetsNoDot) {
  recorder_->OnLeaderChange(true);
  std::vector<absl::Status> answers;
  command::Intent intent;
  intent.set_attempt_id(11);
  recorder_->Intent(intent, [&](absl::Status status) { answers.push_back(std::move(status)); });
  Answer(absl::DeadlineExceededError("no majority"));
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].code(), absl::StatusCode::kDeadlineExceeded);
  intent.set_attempt_id(12);
  recorder_->Intent(intent, [&](absl::Status status) { answers.push_back(std::move(status)); });
  intent.set_attempt_id(13);  // Waits for the command before it.
  recorder_->Intent(intent, [&](absl::Status status) { answers.push_back(std::move(status)); });
  recorder_->OnLeaderChange(false);
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(answers[1].code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(answers[2].code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace holdfast::node
