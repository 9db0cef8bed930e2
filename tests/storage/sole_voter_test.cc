// raft/storage/sole_voter.h on RocksDB: what a store says after its node was made the only voter.
#include "raft/storage/sole_voter.h"

#include <gtest/gtest.h>

#include "tests/storage/rocksdb_world.h"

namespace holdfast::raft {
namespace {

constexpr GroupId kControl{0};
constexpr GroupId kQueue{1};
constexpr NodeId kSelf{1};

Entry MakeEntry(LogIndex index, Term term, EntryType type, std::string command) {
  Entry entry;
  entry.index = index;
  entry.term = term;
  entry.type = type;
  entry.command = std::move(command);
  return entry;
}

class SoleVoterTest : public testing::Test {
 protected:
  SoleVoterTest() {
    ConfState three;
    three.voters = {kSelf, NodeId{2}, NodeId{3}};
    absl::StatusOr<std::unique_ptr<Store>> store =
        world_.Create({"trial", kSelf}, {{kControl, 1, three}, {kQueue, 1, three}});
    EXPECT_TRUE(store.ok()) << store.status();
    LogWrite write;
    write.group = kQueue;
    write.hard_state = HardState{5, NodeId{2}, 2};
    write.entries = {MakeEntry(1, 4, EntryType::kNormal, "one"),
                     MakeEntry(2, 4, EntryType::kConfChange, "a change that is applied"),
                     MakeEntry(3, 5, EntryType::kConfChange, "a change that is not"),
                     MakeEntry(4, 5, EntryType::kNormal, "four")};
    write.entries[3].bodies.push_back(MakePayload("body of four"));
    EXPECT_TRUE((*store)->Write({write}).ok());
    std::unique_ptr<StateBatch> batch = (*store)->NewStateBatch(kQueue);
    batch->Put("key", "value");
    ConfState joint = three;
    joint.learners = {NodeId{4}};
    EXPECT_TRUE((*store)->CommitState(std::move(batch), {2, 4, joint}).ok());
    EXPECT_TRUE((*store)->Close().ok());
  }

  absl::StatusOr<SoleVoterChange> Change() {
    return MakeSoleVoter(world_.options(), {{kControl, {"remove 2", "remove 3"}}});
  }
  std::vector<Entry> Entries(const Store& store, GroupId group, LogIndex first, LogIndex last) {
    const absl::StatusOr<std::vector<Entry>> entries =
        store.ReadEntries(group, first, last + 1, 1 << 20);
    EXPECT_TRUE(entries.ok()) << entries.status();
    return entries.ok() ? *entries : std::vector<Entry>();
  }

  RocksDbWorld world_;
};

TEST_F(SoleVoterTest, ThisNodeVotesAloneAndDropsChangesOfConfiguration) {
  const absl::StatusOr<SoleVoterChange> change = Change();
  ASSERT_TRUE(change.ok()) << change.status();
  EXPECT_EQ(change->groups, 2u);
  EXPECT_EQ(change->conf_changes_dropped, 1u);
  // It was synced.
  world_.CutPower();
  const absl::StatusOr<std::unique_ptr<Store>> store = world_.Open();
  ASSERT_TRUE(store.ok()) << store.status();
  for (const GroupId group : {kControl, kQueue}) {
    const GroupRecord record = *(*store)->LoadGroup(group);
    EXPECT_EQ(record.conf_state.voters, std::vector<NodeId>{kSelf});
    EXPECT_TRUE(record.conf_state.learners.empty());
    EXPECT_EQ(record.hard_state.vote, NodeId{});
  }
  EXPECT_EQ((*store)->LoadGroup(kQueue)->hard_state.term, 6u);
  const std::vector<Entry> entries = Entries(**store, kQueue, 1, 4);
  EXPECT_EQ(entries[1].type, EntryType::kConfChange) << "applied: it is history";
  EXPECT_EQ(entries[2].type, EntryType::kNormal);
  EXPECT_EQ(entries[2].command, "");
  EXPECT_EQ(entries[2].term, 5u);
  EXPECT_EQ(entries[3].command, "four");
  EXPECT_EQ(**(*store)->ReadBody({kQueue, 4, 5, 0}), "body of four");
  EXPECT_EQ(**(*store)->Reader(kQueue)->Get("key"), "value");
}

TEST_F(SoleVoterTest, CommandsAreAppendedInATermOfTheirOwn) {
  ASSERT_TRUE(Change().ok());
  const absl::StatusOr<std::unique_ptr<Store>> store = world_.Open();
  ASSERT_TRUE(store.ok()) << store.status();
  const std::vector<Entry> entries = Entries(**store, kControl, 1, 2);
  EXPECT_EQ(entries[0].command, "remove 2");
  EXPECT_EQ(entries[1].command, "remove 3");
  EXPECT_EQ(entries[1].term, 1u);
  EXPECT_EQ((*store)->LoadGroup(kControl)->last, 2u);
}

TEST_F(SoleVoterTest, AStoreInUseIsNotTouched) {
  const absl::StatusOr<std::unique_ptr<Store>> store = world_.Open();
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(Change().status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace holdfast::raft
