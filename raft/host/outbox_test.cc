#include "raft/host/outbox.h"

#include <gtest/gtest.h>

namespace holdfast::raft {
namespace {

constexpr NodeId kTwo{2};
constexpr NodeId kThree{3};

Message To(NodeId to, MessageType type, LogIndex commit = 0, size_t entries = 0) {
  Message message;
  message.type = type;
  message.to = to;
  message.commit = commit;
  message.entries.resize(entries);
  return message;
}

TEST(OutboxTest, AppendsWithEntriesAndAllOtherMessagesGoAtOnceInTheirOrder) {
  Outbox outbox;
  outbox.Add(GroupId{1}, To(kTwo, MessageType::kAppend, 4, 1));
  outbox.Add(GroupId{2}, To(kTwo, MessageType::kAppendResponse));
  outbox.Add(GroupId{1}, To(kThree, MessageType::kHeartbeat));
  Outbox::Batches batches = outbox.Take();
  ASSERT_EQ(batches.size(), 2u);
  ASSERT_EQ(batches[kTwo].size(), 2u);
  EXPECT_EQ(batches[kTwo][0].message.type, MessageType::kAppend);
  EXPECT_EQ(batches[kTwo][1].group, GroupId{2});
  EXPECT_EQ(batches[kThree].size(), 1u);
  EXPECT_TRUE(outbox.Take().empty());
}

TEST(OutboxTest, NewsOfACommitWaitForATick) {
  Outbox outbox;
  outbox.Add(GroupId{1}, To(kTwo, MessageType::kAppend, 4));
  outbox.Add(GroupId{1}, To(kTwo, MessageType::kAppend, 5));
  outbox.Add(GroupId{2}, To(kTwo, MessageType::kAppend, 9));
  EXPECT_TRUE(outbox.Take().empty());
  outbox.ReleaseHeld();
  Outbox::Batches batches = outbox.Take();
  ASSERT_EQ(batches[kTwo].size(), 2u);
  EXPECT_EQ(batches[kTwo][0].message.commit, 5u);
  EXPECT_EQ(batches[kTwo][1].message.commit, 9u);
  outbox.ReleaseHeld();
  EXPECT_TRUE(outbox.Take().empty());
}

TEST(OutboxTest, TheyTravelWithWhatElseGoesToThePeer) {
  Outbox outbox;
  outbox.Add(GroupId{1}, To(kTwo, MessageType::kAppend, 4));
  outbox.Add(GroupId{1}, To(kThree, MessageType::kAppend, 4));
  outbox.Add(GroupId{2}, To(kTwo, MessageType::kHeartbeat));
  Outbox::Batches batches = outbox.Take();
  EXPECT_EQ(batches.size(), 1u);
  ASSERT_EQ(batches[kTwo].size(), 2u);
  EXPECT_EQ(batches[kTwo][1].message.commit, 4u);
}

TEST(OutboxTest, EntriesOfTheGroupTellThemToo) {
  Outbox outbox;
  outbox.Add(GroupId{1}, To(kTwo, MessageType::kAppend, 4));
  EXPECT_TRUE(outbox.Take().empty());
  outbox.Add(GroupId{1}, To(kTwo, MessageType::kAppend, 5, 1));
  Outbox::Batches batches = outbox.Take();
  ASSERT_EQ(batches[kTwo].size(), 1u);
  EXPECT_EQ(batches[kTwo][0].message.commit, 5u);
  outbox.ReleaseHeld();
  EXPECT_TRUE(outbox.Take().empty());
}

}  // namespace
}  // namespace holdfast::raft
