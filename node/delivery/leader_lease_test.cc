#include "node/delivery/leader_lease.h"

#include <gtest/gtest.h>

#include <vector>

namespace holdfast::node {
namespace {

class LeaderLeaseTest : public testing::Test {
 protected:
  LeaderLeaseTest()
      : lease_(std::make_shared<LeaderLease>(
            LeaderLease::Parts{[this](raft::ReadCallback done) { reads_.push_back(done); },
                               [this] { return may_rely_; }, clock_},
            absl::Milliseconds(800))) {}

  void Confirm(absl::Duration since) {
    lease_->Confirm(since, [this](const absl::Status& status) { answers_.push_back(status); });
  }
  void AnswerRead(absl::Duration asked_at) {
    const raft::ReadCallback done = reads_.front();
    reads_.erase(reads_.begin());
    done(raft::ReadPoint{7, asked_at});
  }

  ManualClock clock_{absl::UnixEpoch()};
  bool may_rely_ = true;
  std::vector<raft::ReadCallback> reads_;
  std::vector<absl::Status> answers_;
  std::shared_ptr<LeaderLease> lease_;
};

TEST_F(LeaderLeaseTest, AFreshCommitIsEnough) {
  clock_.Advance(absl::Seconds(10));
  Confirm(clock_.SinceBoot() - absl::Milliseconds(799));
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_TRUE(answers_[0].ok());
  EXPECT_TRUE(reads_.empty());
}

TEST_F(LeaderLeaseTest, AnOldCommitIsMadeUpForByAReadPoint) {
  clock_.Advance(absl::Seconds(10));
  Confirm(clock_.SinceBoot() - absl::Milliseconds(800));
  EXPECT_TRUE(answers_.empty());
  ASSERT_EQ(reads_.size(), 1u);
  AnswerRead(clock_.SinceBoot());
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_TRUE(answers_[0].ok());
}

TEST_F(LeaderLeaseTest, AProcessThatWasPausedWhileItAskedHasNoLease) {
  clock_.Advance(absl::Seconds(10));
  Confirm(absl::Seconds(1));
  const absl::Duration asked = clock_.SinceBoot();
  clock_.Advance(absl::Seconds(2));
  AnswerRead(asked);
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(answers_[0].code(), absl::StatusCode::kAborted);
}

TEST_F(LeaderLeaseTest, ALeaderThatHandsOverHasNone) {
  may_rely_ = false;
  Confirm(clock_.SinceBoot());
  ASSERT_EQ(reads_.size(), 1u);
  AnswerRead(clock_.SinceBoot());
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ(answers_[0].code(), absl::StatusCode::kAborted);
}

TEST_F(LeaderLeaseTest, ThoseThatWaitShareAReadAskedForAfterThem) {
  clock_.Advance(absl::Seconds(10));
  for (int i = 0; i < 3; ++i) Confirm(absl::ZeroDuration());
  ASSERT_EQ(reads_.size(), 1u);
  AnswerRead(clock_.SinceBoot());
  EXPECT_EQ(answers_.size(), 1u);  // The others came after the read was asked for.
  ASSERT_EQ(reads_.size(), 1u);
  reads_.front()(absl::FailedPreconditionError("not the leader"));
  ASSERT_EQ(answers_.size(), 3u);
  EXPECT_EQ(answers_[2].code(), absl::StatusCode::kAborted);
}

}  // namespace
}  // namespace holdfast::node
