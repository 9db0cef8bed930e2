#include "node/submit/submit_path.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "proto/command.pb.h"
#include "queue/state/command_codec.h"

namespace holdfast::node {
namespace {

namespace asio = boost::asio;

constexpr absl::Duration kCommitTimeout = absl::Seconds(4);

// Answers each proposal at once with the next verdict (OK when none is left), and keeps it.
class SubmitPathTest : public testing::Test {
 protected:
  explicit SubmitPathTest(bool with_replays = false)
      : health_(leaders_, 0),
        guard_(GuardParts(), GuardOptions()),
        path_({[this](GroupId, raft::Proposal proposal, raft::ProposeCallback done,
                      absl::Duration until) {
                 until_ = until;
                 Propose(std::move(proposal), done);
               },
               leaders_, policy_, clock_, metrics_, health_, with_replays ? &guard_ : nullptr,
               kCommitTimeout},
              NodeId{1}, 16 << 20, /*seed=*/1) {
    leaders_.Set(GroupId{2}, true);
    health_.disk().BeginLook();
    health_.disk().EndLook(uint64_t{1} << 30, 0);
  }

  void Propose(raft::Proposal proposal, const raft::ProposeCallback& done) {
    const auto command = queue::DecodeCommand(proposal.command);
    HOLDFAST_CHECK(command.ok()) << command.status();
    commands_.push_back(*command);
    bodies_.push_back(proposal.bodies.size());
    raft::ProposeResult result;
    if (!verdicts_.empty()) {
      result.status = verdicts_.front();
      verdicts_.erase(verdicts_.begin());
    }
    done(result);
  }

  // A node that is alone, and whose groups have `seen_`.
  ReplayGuard::Parts GuardParts() {
    return {[this](GroupId, raft::Proposal proposal, const raft::ProposeCallback& done) {
              Propose(std::move(proposal), done);
            },
            [](GroupId) {
              return KnownLeader{NodeId{1}, true};
            },
            [this](GroupId, const raft::ReadCallback& done, const raft::PointCallback&) {
              if (reads_wait_) return reads_.push_back(done);
              if (reads_ok_) return done(raft::ReadPoint{});
              done(absl::FailedPreconditionError("not the leader"));
            },
            [] { return true; },
            [this](GroupId, std::string_view) {
              return absl::StatusOr<std::optional<queue::QueueId>>(seen_);
            },
            [](GroupId) { return raft::LogIndex{}; },
            [](const std::function<void()>& look) { look(); },
            nullptr,
            [] { return std::vector<NodeId>(); },
            [] {},
            policy_,
            clock_};
  }
  static ReplayGuardOptions GuardOptions() {
    ReplayGuardOptions options;
    options.questions.self = NodeId{1};
    options.questions.queue_groups = 1;
    options.questions.timeout = kCommitTimeout / 2;
    return options;
  }

  std::unique_ptr<smtp::Submission> Begin() {
    auto envelope = std::make_shared<smtp::Envelope>();
    envelope->reverse_path = "a@back.test";
    smtp::EnvelopeRecipient recipient;
    recipient.mailbox = "b@one.test";
    recipient.local_part = "b";
    recipient.domain = recipient.destination = "one.test";
    envelope->recipients.push_back(recipient);
    auto submission = path_.Begin(envelope);
    HOLDFAST_CHECK(submission.ok()) << submission.status();
    return *std::move(submission);
  }

  template <typename T>
  T Run(asio::awaitable<T> awaitable) {
    std::optional<T> result;
    asio::co_spawn(io_, std::move(awaitable), [&result](std::exception_ptr error, T value) {
      HOLDFAST_CHECK(error == nullptr);
      result = std::move(value);
    });
    io_.restart();
    io_.run();
    HOLDFAST_CHECK(result.has_value());
    return *std::move(result);
  }

  static std::shared_ptr<const std::string> Text(const std::string& text) {
    return std::make_shared<const std::string>(text);
  }

  asio::io_context io_;
  MetricRegistry registry_;
  NodeMetrics metrics_{registry_};
  LeaderTable leaders_{3};
  PolicyHolder policy_;
  ManualClock clock_{absl::FromUnixSeconds(1'000'000)};
  NodeHealth health_;
  std::vector<absl::Status> verdicts_;
  std::vector<command::Command> commands_;
  std::vector<size_t> bodies_;
  std::optional<queue::QueueId> seen_;
  bool reads_ok_ = true;
  bool reads_wait_ = false;
  std::vector<raft::ReadCallback> reads_;
  absl::Duration until_;  // Of the newest proposal.
  ReplayGuard guard_;
  SubmitPath path_;
};

TEST_F(SubmitPathTest, AMessageInOnePieceIsOneCommand) {
  auto submission = Begin();
  ASSERT_TRUE(Run(submission->Write(Text("Subject: x\r\n\r\nbody\r\n"))).ok());
  const auto id = Run(submission->Commit({}));
  ASSERT_TRUE(id.ok()) << id.status();
  EXPECT_EQ(*id, submission->queue_id());
  ASSERT_EQ(commands_.size(), 1u);
  EXPECT_EQ(commands_[0].enqueue().queue_id(), *id);
  EXPECT_EQ(commands_[0].enqueue().chunk_count(), 0u);
  EXPECT_EQ(bodies_[0], 1u);
}

TEST_F(SubmitPathTest, PiecesGoAsChunksBeforeTheEnqueue) {
  auto submission = Begin();
  for (const char* piece : {"one", "two", "three"}) {
    ASSERT_TRUE(Run(submission->Write(Text(piece))).ok());
  }
  ASSERT_TRUE(Run(submission->Commit({})).ok());
  submission.reset();
  ASSERT_EQ(commands_.size(), 3u);  // And no Abandon after the Enqueue.
  EXPECT_EQ(commands_[0].chunk().ordinal(), 0u);
  EXPECT_EQ(commands_[1].chunk().ordinal(), 1u);
  EXPECT_EQ(commands_[2].enqueue().chunk_count(), 2u);
  EXPECT_EQ(commands_[2].enqueue().body_count(), 1u);
}

// The id belongs to another message (a clock set back): what came was not stored, and "exists
// already" must not be taken for "stored already" and answered 250.
TEST_F(SubmitPathTest, AnotherMessagesIdIsNoSuccess) {
  auto submission = Begin();
  ASSERT_TRUE(Run(submission->Write(Text("x"))).ok());
  verdicts_ = {absl::AlreadyExistsError("known")};
  EXPECT_EQ(Run(submission->Commit({})).status().code(), absl::StatusCode::kInternal);
}

TEST_F(SubmitPathTest, AnUnknownOutcomeIsNeitherRepeatedNorAbandoned) {
  auto submission = Begin();
  ASSERT_TRUE(Run(submission->Write(Text("one"))).ok());
  ASSERT_TRUE(Run(submission->Write(Text("two"))).ok());
  verdicts_ = {absl::DeadlineExceededError("unknown")};
  EXPECT_EQ(Run(submission->Commit({})).status().code(), absl::StatusCode::kDeadlineExceeded);
  submission.reset();
  EXPECT_EQ(commands_.size(), 2u);
}

TEST_F(SubmitPathTest, WhatEndsHalfWayIsAbandoned) {
  auto submission = Begin();
  const std::string id = submission->queue_id();
  ASSERT_TRUE(Run(submission->Write(Text("one"))).ok());
  ASSERT_TRUE(Run(submission->Write(Text("two"))).ok());
  submission.reset();
  ASSERT_EQ(commands_.size(), 2u);
  EXPECT_EQ(commands_[1].abandon().queue_id(), id);
}

TEST_F(SubmitPathTest, ARefusedEnqueueFreesItsChunks) {
  auto submission = Begin();
  ASSERT_TRUE(Run(submission->Write(Text("one"))).ok());
  ASSERT_TRUE(Run(submission->Write(Text("two"))).ok());
  verdicts_ = {absl::FailedPreconditionError("not the leader")};
  EXPECT_FALSE(Run(submission->Commit({})).ok());
  submission.reset();
  ASSERT_EQ(commands_.size(), 3u);
  EXPECT_TRUE(commands_[2].has_abandon());
}

TEST_F(SubmitPathTest, WithoutRoomOnTheDiskNothingBegins) {
  health_.disk().BeginLook();
  health_.disk().EndLook(1000, 0);
  const auto submission = path_.Begin(std::make_shared<smtp::Envelope>());
  EXPECT_EQ(submission.status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(SubmitPathTest, WithoutALeaderNothingBegins) {
  leaders_.Set(GroupId{2}, false);
  const auto submission = path_.Begin(std::make_shared<smtp::Envelope>());
  EXPECT_EQ(submission.status().code(), absl::StatusCode::kUnavailable);
}

class SubmitReplayTest : public SubmitPathTest {
 protected:
  SubmitReplayTest() : SubmitPathTest(true) {}

  // As a session would; the pieces begin with nine bytes of our own.
  absl::StatusOr<std::string> Submit(const std::vector<std::string>& pieces,
                                     bool identified = true) {
    auto submission = Begin();
    submission->SetTraceHeaderBytes(9);
    for (const std::string& piece : pieces) {
      const absl::Status written = Run(submission->Write(Text(piece)));
      if (!written.ok()) return written;
    }
    smtp::FinalFacts facts;
    facts.has_date = true;
    if (identified) facts.message_id = "<1@back.test>";
    return Run(submission->Commit(facts));
  }
};

TEST_F(SubmitReplayTest, AMessageCarriesItsFingerprintWithoutOurOwnField) {
  ASSERT_TRUE(Submit({"Received:Subject: x\r\n\r\nbody\r\n"}).ok());
  ASSERT_TRUE(Submit({"RECEIVED!Subject: x\r\n\r\nbody\r\n"}).ok());
  ASSERT_TRUE(Submit({"RECEIVED!Subject: y\r\n\r\nbody\r\n"}).ok());
  ASSERT_TRUE(Submit({"Received:Subj", "ect: x\r\n\r\nbo", "dy\r\n"}).ok());
  ASSERT_EQ(commands_.size(), 6u);
  const command::Fingerprint& first = commands_[0].enqueue().fingerprint();
  EXPECT_EQ(first.sha256().size(), 32u);
  EXPECT_EQ(first.kept_max(), 100'000u);
  EXPECT_EQ(first.forget_us() - commands_[0].enqueue().accepted_us(), int64_t{900} * 1'000'000);
  EXPECT_EQ(commands_[1].enqueue().fingerprint().sha256(), first.sha256());
  EXPECT_NE(commands_[2].enqueue().fingerprint().sha256(), first.sha256());
  EXPECT_EQ(commands_[5].enqueue().fingerprint().sha256(), first.sha256());
}

TEST_F(SubmitReplayTest, WithoutMessageIdNothingIsCompared) {
  guard_.SetRestarted();
  seen_ = queue::QueueId::FromParts(1, 1, 1);
  ASSERT_TRUE(Submit({"Received:hi\r\n"}, false).ok());
  ASSERT_EQ(commands_.size(), 1u);
  EXPECT_FALSE(commands_[0].enqueue().has_fingerprint());
}

TEST_F(SubmitReplayTest, AHealthyNodeAsksNothing) {
  seen_ = queue::QueueId::FromParts(1, 1, 1);
  ASSERT_TRUE(Submit({"Received:hi\r\n"}).ok());
  EXPECT_EQ(commands_.size(), 1u);
  EXPECT_EQ(metrics_.replay_questions.value(), 0u);
}

TEST_F(SubmitReplayTest, AReplayIsAnsweredWithTheFirstIdAndNotStored) {
  guard_.SetRestarted();
  seen_ = queue::QueueId::FromParts(1, 1, 1);
  const auto id = Submit({"Received:hi\r\n"});
  ASSERT_TRUE(id.ok()) << id.status();
  EXPECT_EQ(*id, seen_->ToString());
  EXPECT_TRUE(commands_.empty());
  EXPECT_EQ(metrics_.replays_suppressed.value(), 1u);
  // What came in pieces is abandoned.
  ASSERT_TRUE(Submit({"Received:hi\r\n", "more\r\n"}).ok());
  ASSERT_EQ(commands_.size(), 2u);
  EXPECT_TRUE(commands_[0].has_chunk());
  EXPECT_TRUE(commands_[1].has_abandon());
  // The client goes on after this 250: the group may forget the message.
  path_.Confirmed(*id);
  guard_.FlushConfirms();
  ASSERT_EQ(commands_.size(), 3u);
  EXPECT_EQ(commands_[2].confirm().messages(0).queue_id(), *id);
}

TEST_F(SubmitReplayTest, WhatIsNewIsStoredAfterAskingAndWithoutAnAnswerItIsNot) {
  guard_.SetRestarted();
  ASSERT_TRUE(Submit({"Received:hi\r\n"}).ok());
  EXPECT_EQ(commands_.size(), 1u);
  EXPECT_EQ(metrics_.replay_questions.value(), 1u);
  reads_ok_ = false;
  auto submission = Begin();
  ASSERT_TRUE(Run(submission->Write(Text("other\r\n"))).ok());
  smtp::FinalFacts facts;
  facts.has_date = true;
  facts.message_id = "<2@back.test>";
  std::optional<absl::StatusOr<std::string>> id;
  asio::co_spawn(io_, submission->Commit(facts),
                 [&id](std::exception_ptr, absl::StatusOr<std::string> value) { id = value; });
  io_.restart();
  io_.poll();
  EXPECT_FALSE(id.has_value());
  clock_.Advance(kCommitTimeout / 2);
  guard_.Tick();  // Its time is up.
  io_.restart();
  io_.run();
  ASSERT_TRUE(id.has_value());
  EXPECT_TRUE(absl::IsUnavailable(id->status())) << id->status();
  EXPECT_EQ(commands_.size(), 1u);
}

// A question and the proposal after it share the client's time.
TEST_F(SubmitReplayTest, TheAnswerIsWantedInTimeHoweverLongAQuestionTook) {
  const absl::Duration dot = clock_.SinceBoot();
  guard_.SetRestarted();
  reads_wait_ = true;
  auto submission = Begin();
  ASSERT_TRUE(Run(submission->Write(Text("hi\r\n"))).ok());
  smtp::FinalFacts facts;
  facts.has_date = true;
  facts.message_id = "<3@back.test>";
  std::optional<absl::StatusOr<std::string>> id;
  asio::co_spawn(io_, submission->Commit(facts),
                 [&id](std::exception_ptr, absl::StatusOr<std::string> value) { id = value; });
  io_.restart();
  io_.poll();
  ASSERT_EQ(reads_.size(), 1u);
  clock_.Advance(kCommitTimeout / 4);
  reads_[0](raft::ReadPoint{});
  io_.restart();
  io_.run();
  ASSERT_TRUE(id.has_value());
  ASSERT_TRUE(id->ok()) << id->status();
  ASSERT_EQ(commands_.size(), 1u);
  EXPECT_EQ(until_, dot + kCommitTimeout);
}

}  // namespace
}  // namespace holdfast::node
