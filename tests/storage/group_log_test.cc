#include "raft/host/group_log.h"

#include <gtest/gtest.h>

#include "tests/storage/rocksdb_world.h"
#include "tests/storage/store_contract.h"

namespace holdfast::raft {
namespace {

constexpr GroupId kGroup{1};

std::vector<Entry> MakeEntries(LogIndex first, Term term, int count, size_t command_bytes = 10) {
  std::vector<Entry> entries;
  for (int i = 0; i < count; ++i) {
    Entry entry;
    entry.index = first + i;
    entry.term = term;
    entry.command = std::string(command_bytes, 'c');
    entry.bodies = {MakePayload("body")};
    entries.push_back(std::move(entry));
  }
  return entries;
}

// A log beside its store, kept equal as the host does.
class GroupLogTest : public testing::Test {
 protected:
  GroupLogTest() {
    GroupSeed seed;
    seed.group = kGroup;
    seed.conf_state.voters = {NodeId(1)};
    store_ = *world_.Create({"00112233445566778899aabbccddeeff", NodeId(1)}, {seed});
    Open(1 << 20);
  }
  void Open(uint64_t cache_bytes_max) {
    auto log = GroupLog::Open(*store_, kGroup, cache_bytes_max);
    EXPECT_TRUE(log.ok()) << log.status();
    log_ = *std::move(log);
  }
  void Store(std::vector<Entry> entries, bool keep_bodies = false) {
    LogWrite write;
    write.group = kGroup;
    write.hard_state = HardState{entries.back().term, NodeId(1), 0};
    write.entries = entries;
    ASSERT_TRUE(store_->Write({write}).ok());
    log_->Stored(std::move(entries), keep_bodies);
  }
  void Truncate(LogIndex before) {
    ASSERT_TRUE(
        store_->CommitState(store_->NewStateBatch(kGroup), AppliedMark{before - 1, 1, std::nullopt})
            .ok());
    log_->Truncated(before);
    LogWrite write;
    write.group = kGroup;
    write.truncate_before = before;
    ASSERT_TRUE(store_->Write({write}).ok());
  }
  std::string Terms() {
    std::string terms;
    for (LogIndex index = log_->FirstIndex() - 1; index <= log_->LastIndex(); ++index) {
      terms += holdfast::format("{} ", log_->TermAt(index).value_or(999));
    }
    return terms;
  }
  RocksDbWorld world_;
  std::unique_ptr<raft::Store> store_;
  std::unique_ptr<GroupLog> log_;
};

TEST_F(GroupLogTest, AnEmptyLogHasTermZeroBeforeItsBeginning) {
  EXPECT_EQ(log_->FirstIndex(), 1u);
  EXPECT_EQ(log_->LastIndex(), 0u);
  EXPECT_EQ(log_->TermAt(0), Term{0});
  EXPECT_EQ(log_->TermAt(1), std::nullopt);
}

TEST_F(GroupLogTest, TermsAreKnownAfterReplacementTruncationAndReopening) {
  Store(MakeEntries(1, 1, 3));
  Store(MakeEntries(4, 2, 2));
  EXPECT_EQ(Terms(), "0 1 1 1 2 2 ");
  Store(MakeEntries(3, 5, 2));
  EXPECT_EQ(Terms(), "0 1 1 5 5 ");
  Store(MakeEntries(5, 7, 1));
  Truncate(3);
  EXPECT_EQ(Terms(), "1 5 5 7 ");
  EXPECT_EQ(log_->TermAt(1), std::nullopt);
  Open(1 << 20);
  EXPECT_EQ(Terms(), "1 5 5 7 ");
  EXPECT_EQ(log_->FirstIndex(), 3u);
  Truncate(6);
  EXPECT_EQ(Terms(), "7 ");
  Open(1 << 20);
  EXPECT_EQ(Terms(), "7 ");
}

TEST_F(GroupLogTest, EntriesComeFromTheCacheOrTheStoreAlike) {
  Store(MakeEntries(1, 1, 10));
  for (uint64_t cache_bytes_max : {1 << 20, 35}) {
    Open(cache_bytes_max);
    Store(MakeEntries(6, 2, 5));
    std::vector<Entry> read;
    while (read.size() < 10) {
      auto some = log_->Entries(read.size() + 1, 11, ~uint64_t{0});
      ASSERT_TRUE(some.ok()) << some.status();
      ASSERT_FALSE(some->empty());
      read.insert(read.end(), some->begin(), some->end());
    }
    std::vector<Entry> expected = MakeEntries(1, 1, 5);
    for (Entry& entry : MakeEntries(6, 2, 5)) expected.push_back(entry);
    EXPECT_EQ(read, expected);
  }
  EXPECT_EQ(log_->Entries(1, 11, 1)->size(), 1u);
  EXPECT_EQ(log_->Entries(10, 11, 1)->size(), 1u);
}

TEST_F(GroupLogTest, BodiesAreKeptForFollowersOnly) {
  Store(MakeEntries(1, 1, 1), /*keep_bodies=*/false);
  EXPECT_EQ(log_->Entries(1, 2, 1)->front().bodies[0].bytes, nullptr);
  Store(MakeEntries(2, 1, 1), /*keep_bodies=*/true);
  EXPECT_EQ(*log_->Entries(2, 3, 1)->front().bodies[0].bytes, "body");
}

TEST_F(GroupLogTest, CompactedEntriesAreOutOfRange) {
  Store(MakeEntries(1, 1, 5));
  Truncate(4);
  EXPECT_EQ(log_->Entries(3, 6, 1).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(log_->LatestSnapshot().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(GroupLogTest, TruncationIsDueByCountOnlyBehindTheAppliedIndex) {
  Store(MakeEntries(1, 1, 100));
  EXPECT_EQ(log_->TruncationDue(50, 40, ~uint64_t{0} / 2), std::nullopt);
  EXPECT_EQ(log_->TruncationDue(51, 40, ~uint64_t{0} / 2), LogIndex{12});
  EXPECT_EQ(log_->TruncationDue(0, 40, 0), std::nullopt);
}

TEST_F(GroupLogTest, TruncationIsDueByBytesOfCommands) {
  Store(MakeEntries(1, 1, 1000, 1000));
  EXPECT_EQ(log_->TruncationDue(1000, 100'000, 1'000'000), std::nullopt);
  auto before = log_->TruncationDue(1000, 100'000, 500'000);
  ASSERT_TRUE(before.has_value());
  EXPECT_GE(*before, 500u);
  EXPECT_LE(*before, 600u);
  before = log_->TruncationDue(200, 100'000, 500'000);
  ASSERT_TRUE(before.has_value());
  EXPECT_LE(*before, 201u);
}

}  // namespace
}  // namespace holdfast::raft
