#include "node/replay/replay_questions.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>

namespace holdfast::node {
namespace {

constexpr NodeId kSelf{1};
constexpr NodeId kOther{2};
constexpr NodeId kThird{3};

struct Call {
  NodeId to;
  peer_call::DidYouSee asked;
  std::function<void(absl::StatusOr<peer_call::DidYouSee>)> done;
};

// Groups 1 to 3, each led by the node of its number.
class ReplayQuestionsTest : public testing::Test {
 protected:
  ReplayQuestionsTest()
      : questions_(
            {[this](GroupId group) {
               return KnownLeader{leaders_[group], leaders_[group] == kSelf};
             },
             [this] { return heard_; },
             [this](NodeId to, peer_call::DidYouSee asked, absl::Duration, auto done) {
               calls_.push_back({to, std::move(asked), std::move(done)});
             },
             [this](GroupId) { return applied_; },
             [this](GroupId group, std::string_view sha256) { return Find(group, sha256); },
             [this](std::function<void()> look) { looks_.push_back(std::move(look)); }, clock_},
            {.self = kSelf, .queue_groups = 3, .waiting_max = 3}) {}

  void Ask(const std::string& sha256) {
    questions_.Ask(sha256, [this](absl::StatusOr<std::optional<SeenMessage>> seen) {
      answers_.push_back(std::move(seen));
    });
  }
  Call Take(NodeId to) {
    for (auto call = calls_.begin(); call != calls_.end(); ++call) {
      if (call->to != to) continue;
      Call taken = std::move(*call);
      calls_.erase(call);
      return taken;
    }
    ADD_FAILURE() << "no call to node " << to;
    return {to, {}, [](const auto&) {}};
  }
  void AnswerNo(NodeId from) { Take(from).done(peer_call::DidYouSee()); }
  static peer_call::DidYouSee Saw(uint32_t place, uint32_t group, const std::string& queue_id) {
    peer_call::DidYouSee answer;
    peer_call::SeenSubmission& seen = *answer.add_seen();
    seen.set_place(place);
    seen.set_group(group);
    seen.set_queue_id(queue_id);
    return answer;
  }
  absl::StatusOr<std::optional<queue::QueueId>> Find(GroupId group, std::string_view sha256) {
    found_in_.push_back(group);
    if (rows_ != sha256) return std::optional<queue::QueueId>();
    return queue::QueueId::FromParts(1, 1, 1);
  }
  void RunLooks() {
    for (; !looks_.empty(); looks_.pop_front()) looks_.front()();
  }
  static peer_call::DidYouSee Point(uint32_t group, raft::LogIndex index) {
    peer_call::DidYouSee answer;
    answer.add_points()->set_group(group);
    answer.mutable_points(0)->set_index(index);
    return answer;
  }
  void Tick(absl::Duration passed = absl::Milliseconds(50)) {
    clock_.Advance(passed);
    questions_.Tick();
  }

  ManualClock clock_{absl::UnixEpoch()};
  std::map<GroupId, NodeId> leaders_{
      {GroupId{1}, kSelf}, {GroupId{2}, kOther}, {GroupId{3}, kThird}};
  std::vector<NodeId> heard_{kOther, kThird};
  std::deque<Call> calls_;
  raft::LogIndex applied_ = 0;  // Here.
  std::string rows_;            // What this node's rows know, of whatever group.
  std::vector<GroupId> found_in_;
  std::deque<std::function<void()>> looks_;
  std::vector<absl::StatusOr<std::optional<SeenMessage>>> answers_;
  ReplayQuestions questions_;
};

TEST_F(ReplayQuestionsTest, NewIsWhatNoLeaderKnows) {
  Ask("x");
  ASSERT_EQ(calls_.size(), 3u);
  Call call = Take(kOther);
  ASSERT_EQ(call.asked.groups_size(), 1);
  EXPECT_EQ(call.asked.groups(0), 2u);
  EXPECT_EQ(call.asked.sha256(0), "x");
  call.done(peer_call::DidYouSee());
  AnswerNo(kSelf);
  EXPECT_TRUE(answers_.empty());
  AnswerNo(kThird);
  ASSERT_EQ(answers_.size(), 1u);
  ASSERT_TRUE(answers_[0].ok());
  EXPECT_FALSE(answers_[0]->has_value());
  EXPECT_TRUE(calls_.empty());
}

TEST_F(ReplayQuestionsTest, TheFirstOfAllThatWereSeenIsTheAnswer) {
  Ask("x");
  AnswerNo(kSelf);
  Take(kOther).done(Saw(0, 2, "01BBBBBBBBBBBBBB"));
  Take(kThird).done(Saw(0, 3, "01AAAAAAAAAAAAAA"));
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ((*answers_[0])->queue_id, "01AAAAAAAAAAAAAA");
  EXPECT_EQ((*answers_[0])->group, GroupId{3});
}

// Its Confirm is on its way to the group.
TEST_F(ReplayQuestionsTest, WhatTheAcceptingNodeKnowsToBeConfirmedIsNoMatch) {
  Ask("x");
  AnswerNo(kSelf);
  Take(kOther).done(Saw(0, 2, "01BBBBBBBBBBBBBB"));
  peer_call::DidYouSee confirmed;
  peer_call::SeenSubmission& one = *confirmed.add_confirmed();
  one.set_group(2);
  one.set_queue_id("01BBBBBBBBBBBBBB");
  Take(kThird).done(confirmed);
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_FALSE(answers_[0]->has_value());
}

TEST_F(ReplayQuestionsTest, QuestionsThatComeMeanwhileShareTheNextCall) {
  Ask("a");
  Ask("b");
  Ask("c");
  ASSERT_EQ(calls_.size(), 3u);
  AnswerNo(kOther);
  ASSERT_EQ(calls_.size(), 3u);
  Call call = Take(kOther);
  ASSERT_EQ(call.asked.sha256_size(), 2);
  EXPECT_EQ(call.asked.sha256(1), "c");
  call.done(Saw(1, 2, "01BBBBBBBBBBBBBB"));
  for (int round = 0; round < 2; ++round) {
    AnswerNo(kSelf);
    AnswerNo(kThird);
  }
  ASSERT_EQ(answers_.size(), 3u);
  EXPECT_FALSE(answers_[0]->has_value());
  EXPECT_FALSE(answers_[1]->has_value());
  EXPECT_EQ((*answers_[2])->queue_id, "01BBBBBBBBBBBBBB");
}

TEST_F(ReplayQuestionsTest, AGroupIsAskedAgainWhereverItsLeaderIsByThen) {
  Ask("x");
  AnswerNo(kSelf);
  AnswerNo(kOther);
  Take(kThird).done(absl::UnavailableError("gone"));
  EXPECT_TRUE(calls_.empty());
  heard_ = {kOther};
  leaders_[GroupId{3}] = NodeId{};
  Tick();
  EXPECT_TRUE(calls_.empty());
  leaders_[GroupId{3}] = kOther;
  Tick();
  Call call = Take(kOther);
  EXPECT_EQ(call.asked.groups(0), 3u);
  peer_call::DidYouSee not_yet;
  not_yet.add_unanswered(3);
  call.done(not_yet);
  EXPECT_TRUE(answers_.empty());
  Tick();
  AnswerNo(kOther);
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_TRUE(answers_[0].ok());
}

TEST_F(ReplayQuestionsTest, NoAnswerInTimeIsNoAnswer) {
  Ask("x");
  AnswerNo(kSelf);
  AnswerNo(kOther);
  Tick(absl::Seconds(4.9));
  EXPECT_TRUE(answers_.empty());
  Tick(absl::Seconds(0.1));
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_TRUE(absl::IsUnavailable(answers_[0].status()));
  AnswerNo(kThird);  // Too late, and no harm.
  EXPECT_EQ(answers_.size(), 1u);
}

TEST_F(ReplayQuestionsTest, AMatchIsTrueWhateverOthersWouldHaveSaid) {
  Ask("x");
  AnswerNo(kSelf);
  Take(kOther).done(Saw(0, 2, "01BBBBBBBBBBBBBB"));
  Tick(absl::Seconds(5));
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ((*answers_[0])->queue_id, "01BBBBBBBBBBBBBB");
}

// Leaders may have answered before it was committed.
TEST_F(ReplayQuestionsTest, WhileALikeSubmissionIsDecidedElsewhereAllAreAskedAgain) {
  Ask("x");
  AnswerNo(kSelf);
  AnswerNo(kOther);
  peer_call::DidYouSee under_way;
  under_way.add_under_way(0);
  Take(kThird).done(under_way);
  EXPECT_TRUE(answers_.empty());
  EXPECT_TRUE(calls_.empty());
  Tick();
  ASSERT_EQ(calls_.size(), 3u);
  AnswerNo(kThird);
  AnswerNo(kSelf);
  Take(kOther).done(Saw(0, 2, "01BBBBBBBBBBBBBB"));
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ((*answers_[0])->queue_id, "01BBBBBBBBBBBBBB");
}

// It leads nothing, but only it knows that such a submission is under way.
TEST_F(ReplayQuestionsTest, ANodeThatIsHeardIsAskedAgainWhenItsCallFails) {
  leaders_[GroupId{3}] = kOther;
  Ask("x");
  AnswerNo(kSelf);
  Take(kThird).done(absl::UnavailableError("the connection broke"));
  AnswerNo(kOther);
  EXPECT_TRUE(answers_.empty());
  Tick();
  peer_call::DidYouSee under_way;
  under_way.add_under_way(0);
  Take(kThird).done(under_way);
  EXPECT_TRUE(answers_.empty());
  Tick();
  AnswerNo(kSelf);
  AnswerNo(kThird);
  Take(kOther).done(Saw(0, 2, "01BBBBBBBBBBBBBB"));
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_EQ((*answers_[0])->queue_id, "01BBBBBBBBBBBBBB");
}

TEST_F(ReplayQuestionsTest, ALateLeadersPointIsAnsweredByRowsThatHaveReachedIt) {
  applied_ = 6;
  Ask("x");
  AnswerNo(kSelf);
  AnswerNo(kOther);
  Take(kThird).done(Point(3, 7));
  RunLooks();
  EXPECT_TRUE(answers_.empty());
  EXPECT_TRUE(found_in_.empty());
  Tick();
  EXPECT_EQ(Take(kThird).asked.groups(0), 3u);  // It may have caught up.
  applied_ = 7;
  RunLooks();
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_FALSE(answers_[0]->has_value());
  EXPECT_EQ(found_in_, std::vector<GroupId>{GroupId{3}});
}

TEST_F(ReplayQuestionsTest, WhatTheRowsHereKnowIsAMatch) {
  applied_ = 7;
  rows_ = "x";
  Ask("x");
  AnswerNo(kSelf);
  AnswerNo(kOther);
  Take(kThird).done(Point(3, 7));
  RunLooks();
  ASSERT_EQ(answers_.size(), 1u);
  ASSERT_TRUE(answers_[0]->has_value());
  EXPECT_EQ((*answers_[0])->group, GroupId{3});
}

// It was true before the submission that is like it was decided.
TEST_F(ReplayQuestionsTest, APointOfTheFirstRoundIsNoAnswerInTheNext) {
  applied_ = 7;
  Ask("x");
  AnswerNo(kSelf);
  peer_call::DidYouSee under_way;
  under_way.add_under_way(0);
  Take(kOther).done(under_way);
  Call slow = Take(kThird);
  // Its group has moved and it is silent: it is not waited for, and all are asked again.
  leaders_[GroupId{3}] = kOther;
  heard_ = {kOther};
  Tick();
  AnswerNo(kOther);
  Tick();
  ASSERT_TRUE(answers_.empty());
  AnswerNo(kSelf);
  slow.done(Point(3, 7));
  RunLooks();
  EXPECT_TRUE(answers_.empty());
  AnswerNo(kOther);
  ASSERT_EQ(answers_.size(), 1u);
}

TEST_F(ReplayQuestionsTest, ANodeThatFallsSilentAndLeadsNothingIsNotWaitedFor) {
  leaders_[GroupId{3}] = kOther;
  Ask("x");
  AnswerNo(kSelf);
  AnswerNo(kOther);
  EXPECT_TRUE(answers_.empty());
  heard_ = {kOther};
  Tick();
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_TRUE(answers_[0].ok());
}

TEST_F(ReplayQuestionsTest, QuestionsAreBoundedAndAllAnsweredAtTheEnd) {
  for (const char* sha256 : {"a", "b", "c", "d"}) Ask(sha256);
  ASSERT_EQ(answers_.size(), 1u);
  EXPECT_TRUE(absl::IsResourceExhausted(answers_[0].status()));
  questions_.Stop();
  EXPECT_EQ(answers_.size(), 4u);
  Ask("e");
  ASSERT_EQ(answers_.size(), 5u);
  EXPECT_TRUE(absl::IsUnavailable(answers_[4].status()));
  AnswerNo(kOther);
}

}  // namespace
}  // namespace holdfast::node
