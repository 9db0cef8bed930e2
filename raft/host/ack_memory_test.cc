#include "raft/host/ack_memory.h"

#include <gtest/gtest.h>

namespace holdfast::raft {
namespace {

constexpr GroupId kGroup{3};
constexpr NodeId kReplica{2};
constexpr NodeId kLeader{1};

GroupRecord Knows(Term term, LogIndex last) {
  GroupRecord record;
  record.group = kGroup;
  record.hard_state.term = term;
  record.last = last;
  return record;
}

TEST(AckMemoryTest, TheNewestTermCountsThenTheHighestIndex) {
  AckMemory memory;
  memory.Note(kGroup, kReplica, 5, 70);
  memory.Note(kGroup, kReplica, 5, 60);
  EXPECT_EQ(memory.Of(kReplica), (std::vector<Acknowledgement>{{kGroup, 5, 70}}));
  // A newer term's word stands for the older one, even if it reaches less far.
  memory.Note(kGroup, kReplica, 6, 40);
  memory.Note(kGroup, kReplica, 5, 90);
  EXPECT_EQ(memory.Of(kReplica), (std::vector<Acknowledgement>{{kGroup, 6, 40}}));
}

TEST(AckMemoryTest, ANewLeadershipWithoutAnAnswerForgetsNothing) {
  AckMemory memory;
  memory.Note(kGroup, kReplica, 5, 70);
  memory.Note(kGroup, kReplica, 7, 0);
  EXPECT_EQ(memory.Of(kReplica), (std::vector<Acknowledgement>{{kGroup, 5, 70}}));
}

TEST(AckMemoryTest, EachReplicaHearsOfItsOwn) {
  AckMemory memory;
  memory.Note(GroupId(0), kReplica, 1, 1);
  memory.Note(GroupId(9), kReplica, 2, 2);
  memory.Note(GroupId(4), kLeader, 3, 3);
  EXPECT_EQ(memory.Of(kReplica),
            (std::vector<Acknowledgement>{{GroupId(0), 1, 1}, {GroupId(9), 2, 2}}));
  EXPECT_TRUE(memory.Of(NodeId(7)).empty());
}

TEST(AckMemoryTest, AStoreThatHasItIsNoLoss) {
  EXPECT_TRUE(CheckAcknowledged(Knows(5, 70), {kGroup, 5, 70}, kLeader).ok());
  EXPECT_TRUE(CheckAcknowledged(Knows(5, 90), {kGroup, 5, 70}, kLeader).ok());
}

TEST(AckMemoryTest, AShorterLogInTheSameTermIsALoss) {
  const absl::Status lost = CheckAcknowledged(Knows(5, 69), {kGroup, 5, 70}, kLeader);
  EXPECT_EQ(lost.code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(holdfast::Message(lost).find("group 3"), std::string_view::npos) << lost;
}

// It may be longer by an older leader's entries: the term on disk tells that it is the past.
TEST(AckMemoryTest, AForgottenTermIsALossWhateverTheLog) {
  EXPECT_EQ(CheckAcknowledged(Knows(4, 90), {kGroup, 5, 70}, kLeader).code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(CheckAcknowledged(Knows(0, 0), {kGroup, 5, 1}, kLeader).code(),
            absl::StatusCode::kDataLoss);
}

// The leader of term 6 had fewer entries, and replaced what was acknowledged but not committed.
TEST(AckMemoryTest, WhatANewerLeaderReplacedIsNoLoss) {
  EXPECT_TRUE(CheckAcknowledged(Knows(6, 8), {kGroup, 5, 70}, kLeader).ok());
}

}  // namespace
}  // namespace holdfast::raft
