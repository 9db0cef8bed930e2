// The RocksDB store when the disk fails: errors end everything, power cuts lose nothing that was
// acknowledged, damage is found, and a store that lost its past is refused.
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include "base/crc32c.h"
#include "raft/storage/byte_codec.h"
#include "raft/storage/store_keys.h"
#include "raft/storage/store_records.h"
#include "tests/storage/rocksdb_world.h"
#include "tests/storage/store_contract.h"

// RocksDB 7.8 forgets the memtable that it had just made when the WAL's failure stops the switch to
// it. A process that meets this ends; only this test lives on to have its leaks counted.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:rocksdb::DBImpl::SwitchMemtable\n";
}

namespace holdfast::raft {
namespace {

constexpr GroupId kGroup{1};
constexpr NodeId kNode{7};
const std::vector<BodyKey> kNoneAlive;
const std::vector<BodyKey> kAlive{{kGroup, 30, 2, 0}};  // In what RunInstall() installs.

GroupSeed Seed() {
  GroupSeed seed;
  seed.group = kGroup;
  seed.conf_state.voters = {kNode};
  return seed;
}

std::unique_ptr<Store> MakeStore(RocksDbWorld& world) {
  auto store = world.Create({"00112233445566778899aabbccddeeff", kNode}, {Seed()});
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

// Large enough that the small memtables of these tests are flushed now and then.
std::string BodyOf(LogIndex index) {
  return std::string(20'000 + index, static_cast<char>('a' + index % 26));
}

LogWrite Append(LogIndex first, int count, Term term = 1) {
  LogWrite write;
  write.group = kGroup;
  write.hard_state = HardState{term, kNode, first - 1};
  for (int i = 0; i < count; ++i) {
    Entry entry;
    entry.index = first + i;
    entry.term = term;
    entry.command = CommandOf(entry.index, term);
    entry.bodies = {MakePayload(BodyOf(entry.index))};
    write.entries.push_back(std::move(entry));
  }
  return write;
}

absl::Status Apply(Store& store, LogIndex index, bool delete_body) {
  std::unique_ptr<StateBatch> batch = store.NewStateBatch(kGroup);
  batch->Put("applied", std::to_string(index));
  batch->Put(holdfast::format("row {}", index), BodyOf(index));
  if (delete_body) batch->DeleteBody(BodyKey{kGroup, index, 1, 0});
  return store.CommitState(std::move(batch), AppliedMark{index, 1, std::nullopt});
}

class RocksDbFaultsTest : public testing::TestWithParam<UnsyncedTail> {};

// What a run was told is safe.
struct Acknowledged {
  bool to_the_end = false;
  LogIndex stored = 0;
  HardState hard_state;
};

// A node's life in small: appends, applies, deletions, truncation, with flushes of small memtables
// in between. Ends at the first error.
Acknowledged RunScript(Store& store) {
  Acknowledged done;
  LogIndex index = 1;
  for (int round = 0; round < 6; ++round) {
    LogWrite write = Append(index, 1 + round % 3);
    if (!store.Write({write}).ok()) return done;
    done.stored = write.entries.back().index;
    done.hard_state = *write.hard_state;
    for (; index <= done.stored; ++index) {
      if (!Apply(store, index, index % 2 == 0).ok()) return done;
    }
    if (round == 3) {
      LogWrite truncation;
      truncation.group = kGroup;
      truncation.truncate_before = 3;
      if (!store.Write({truncation}).ok()) return done;
    }
  }
  done.to_the_end = true;
  return done;
}

void ExpectNothingLost(Store& store, const Acknowledged& done) {
  const GroupRecord record = *store.LoadGroup(kGroup);
  ASSERT_GE(record.last, done.stored);
  EXPECT_GE(record.hard_state.term, done.hard_state.term);
  // Rows are those of exactly the applied index.
  auto row = store.Reader(kGroup)->Get("applied");
  ASSERT_TRUE(row.ok()) << row.status();
  EXPECT_EQ(row->value_or("0"), std::to_string(record.applied));
  for (LogIndex index = record.truncated + 1; index <= done.stored; ++index) {
    auto entries = store.ReadEntries(kGroup, index, index + 1, 1);
    ASSERT_TRUE(entries.ok()) << entries.status();
    EXPECT_EQ(entries->front().command, CommandOf(index, 1));
  }
  for (LogIndex index = 1; index <= done.stored; ++index) {
    auto body = store.ReadBody(BodyKey{kGroup, index, 1, 0});
    if (index % 2 == 0 && index <= record.applied) {
      EXPECT_EQ(body.status().code(), absl::StatusCode::kNotFound) << index;
    } else {
      ASSERT_TRUE(body.ok()) << index << ": " << body.status();
      EXPECT_EQ(**body, BodyOf(index));
    }
  }
}

// Else the test would not see what a crash between the families' flushes does.
void ExpectFlushed(const RocksDbWorld& world) {
  int blobs = 0;
  for (const auto& file : std::filesystem::directory_iterator(world.folder())) {
    blobs += file.path().extension() == ".blob" ? 1 : 0;
  }
  EXPECT_GT(blobs, 0);
}

TEST_P(RocksDbFaultsTest, ACrashAtEveryWriteBoundaryLosesNothingAcknowledged) {
  bool completed = false;
  int crashes = 0;
  // The other tails differ in what is left, not in where: every third step is enough for them.
  const uint64_t stride = GetParam() == UnsyncedTail::kGone ? 1 : 3;
  for (uint64_t step = 0; !completed; step += stride) {
    ASSERT_LT(step, 1000u);
    RocksDbWorld world;
    world.options().body_memtable_bytes = 64 << 10;
    world.options().body_memtables_merged = 1;
    world.options().state_memtable_bytes = 64 << 10;
    world.options().witness_interval = absl::ZeroDuration();
    std::unique_ptr<Store> store = MakeStore(world);
    ASSERT_NE(store, nullptr);
    world.files().CrashAt(world.files().operations() + step);
    const Acknowledged done = RunScript(*store);
    store.reset();
    completed = !world.files().failed();
    // Files that are only to be removed may fail silently; nothing else may.
    if (!done.to_the_end) {
      EXPECT_EQ(world.fatal_errors().size(), 1u) << "step " << step;
    }
    if (completed) {
      EXPECT_EQ(world.fatal_errors().size(), 0u);
    }
    world.files().Heal();
    world.files().LoseUnsynced(GetParam());
    auto reopened = world.Open();
    ASSERT_TRUE(reopened.ok()) << "step " << step << ": " << reopened.status();
    ExpectNothingLost(**reopened, done);
    ASSERT_FALSE(HasFailure()) << "step " << step;
    // And life goes on.
    const GroupRecord record = *(*reopened)->LoadGroup(kGroup);
    EXPECT_TRUE((*reopened)->Write({Append(record.last + 1, 1)}).ok());
    crashes += done.to_the_end ? 0 : 1;
    if (completed) ExpectFlushed(world);
  }
  EXPECT_GT(crashes, 20);
}

// A try that is given up, rows enough for more than one memtable, then the install, then its
// garbage. How far it came.
enum class InstallStage { kBegun, kInstalled, kCollected };
InstallStage RunInstall(Store& store) {
  InstallStage stage = InstallStage::kBegun;
  auto given_up = store.BeginInstall(kGroup);
  if (!given_up.ok()) return stage;
  for (LogIndex row = 1; row <= 4; ++row) {
    const std::string key = holdfast::format("given up {}", row);
    if (!(*given_up)->PutRows({{key, "of the snapshot" + BodyOf(row)}}).ok()) return stage;
  }
  given_up->reset();
  auto install = store.BeginInstall(kGroup);
  if (!install.ok()) return stage;
  for (LogIndex row = 1; row <= 8; ++row) {
    const std::string key = holdfast::format("row {}", row);
    if (!(*install)->PutRows({{key, "of the snapshot" + BodyOf(row)}}).ok()) return stage;
  }
  const Body body = MakePayload(BodyOf(30)).bytes;
  if (!(*install)->PutBody({kGroup, 30, 2, 0}, body).ok()) return stage;
  if (!(*install)->PutRows({{"applied", "40"}}).ok()) return stage;
  LogWrite write;
  write.group = kGroup;
  write.install = LogWrite::Install{(*install)->generation(), 40, 2, Seed().conf_state, 0};
  if (!store.Write({write}).ok()) return stage;
  stage = InstallStage::kInstalled;
  for (int round = 0; round < 100; ++round) {
    auto done = store.CollectGarbage(kGroup, kAlive, 2);
    if (!done.ok()) return stage;
    if (*done) return store.Write({Append(41, 1, 2)}).ok() ? InstallStage::kCollected : stage;
  }
  return stage;
}

// All of the snapshot or nothing of it, whatever was written of it when the power went.
void ExpectWholeOrNothing(Store& store, const Acknowledged& before, InstallStage reached) {
  const GroupRecord record = *store.LoadGroup(kGroup);
  auto row = store.Reader(kGroup)->Get("row 8");
  ASSERT_TRUE(row.ok()) << row.status();
  if (record.truncated < 40) {
    EXPECT_EQ(reached, InstallStage::kBegun) << "an acknowledged install is gone";
    EXPECT_FALSE(row->value_or("").starts_with("of the snapshot"));
    ExpectNothingLost(store, before);
    return;
  }
  EXPECT_EQ(record.applied, 40u);
  EXPECT_EQ(row->value_or(""), "of the snapshot" + BodyOf(8));
  auto applied = store.Reader(kGroup)->Get("applied");
  EXPECT_TRUE(applied.ok() && *applied == "40");
  auto body = store.ReadBody({kGroup, 30, 2, 0});
  EXPECT_TRUE(body.ok() && **body == BodyOf(30)) << body.status();
  if (reached == InstallStage::kCollected) {
    EXPECT_FALSE(store.GarbagePending(kGroup));
  }
  // Whatever is left is collected now.
  while (!*store.CollectGarbage(kGroup, kAlive, 100)) {
  }
  EXPECT_EQ(store.ReadBody({kGroup, 1, 1, 0}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(store.ReadBody({kGroup, 30, 2, 0}).ok());
}

// The rows of tries are gone when the garbage is.
void ExpectOneGeneration(const RocksDbWorld& world, std::unique_ptr<Store> store) {
  while (!*store->CollectGarbage(kGroup, kAlive, 100)) {
  }
  EXPECT_FALSE(store->GarbagePending(kGroup));
  store.reset();
  EXPECT_EQ(RowsByGeneration(world.folder(), kGroup).size(), 1u);
}

TEST_P(RocksDbFaultsTest, ACrashAtEveryWriteBoundaryOfAnInstallLeavesAllOrNothing) {
  bool completed = false;
  int crashes = 0;
  const uint64_t stride = GetParam() == UnsyncedTail::kGone ? 1 : 3;
  for (uint64_t step = 0; !completed; step += stride) {
    ASSERT_LT(step, 1000u);
    RocksDbWorld world;
    world.options().body_memtable_bytes = 64 << 10;
    world.options().body_memtables_merged = 1;
    world.options().state_memtable_bytes = 64 << 10;
    std::unique_ptr<Store> store = MakeStore(world);
    ASSERT_NE(store, nullptr);
    const Acknowledged before = RunScript(*store);
    ASSERT_TRUE(before.to_the_end);
    world.files().CrashAt(world.files().operations() + step);
    const InstallStage reached = RunInstall(*store);
    store.reset();
    completed = !world.files().failed();
    world.files().Heal();
    world.files().LoseUnsynced(GetParam());
    auto reopened = world.Open();
    ASSERT_TRUE(reopened.ok()) << "step " << step << ": " << reopened.status();
    ExpectWholeOrNothing(**reopened, before, reached);
    ASSERT_FALSE(HasFailure()) << "step " << step;
    if (step % 4 == 0) {
      ExpectOneGeneration(world, *std::move(reopened));
      reopened = world.Open();
      ASSERT_TRUE(reopened.ok()) << "step " << step << ": " << reopened.status();
    }
    const GroupRecord record = *(*reopened)->LoadGroup(kGroup);
    EXPECT_TRUE((*reopened)->Write({Append(record.last + 1, 1, 2)}).ok());
    crashes += completed ? 0 : 1;
  }
  EXPECT_GT(crashes, 10);
}

INSTANTIATE_TEST_SUITE_P(Tails, RocksDbFaultsTest,
                         testing::Values(UnsyncedTail::kGone, UnsyncedTail::kHalf,
                                         UnsyncedTail::kZeroed));

TEST(RocksDbCrashTest, ACrashAtEveryStepOfCreationCanBeRepeated) {
  bool completed = false;
  for (uint64_t step = 0; !completed; ++step) {
    ASSERT_LT(step, 1000u);
    RocksDbWorld world;
    world.files().CrashAt(step);
    auto store = world.Create({"00112233445566778899aabbccddeeff", kNode}, {Seed()});
    completed = store.ok();
    if (completed) break;
    world.files().Heal();
    world.files().LoseUnsynced(UnsyncedTail::kGone);
    EXPECT_EQ(world.Open().status().code(), absl::StatusCode::kNotFound) << "step " << step;
    // Who believes in a store here would try to open it for ever.
    const absl::StatusOr<bool> cut_short = StoreExists(world.options());
    EXPECT_TRUE(cut_short.ok() && !*cut_short) << "step " << step << ": " << cut_short.status();
    store = world.Create({"00112233445566778899aabbccddeeff", kNode}, {Seed()});
    ASSERT_TRUE(store.ok()) << "step " << step << ": " << store.status();
    ASSERT_TRUE((*store)->Close().ok());
    store->reset();
    const absl::StatusOr<bool> young = StoreExists(world.options());
    EXPECT_TRUE(young.ok() && *young) << "step " << step << ": " << young.status();
  }
}

TEST(RocksDbErrorTest, TheFirstFailedWriteOrSyncIsTheLastThing) {
  for (FaultKind kind : {FaultKind::kAppend, FaultKind::kSync}) {
    RocksDbWorld world;
    std::unique_ptr<Store> store = MakeStore(world);
    ASSERT_TRUE(store->Write({Append(1, 1)}).ok());
    world.files().FailOnce(kind, ".log");
    EXPECT_FALSE(store->Write({Append(2, 1)}).ok());
    ASSERT_EQ(world.fatal_errors().size(), 1u);
    // The disk is well again, and still nothing is acknowledged.
    EXPECT_FALSE(store->Write({Append(2, 1)}).ok());
    EXPECT_FALSE(Apply(*store, 1, true).ok());
    EXPECT_FALSE(store->Close().ok());
    EXPECT_EQ(world.fatal_errors().size(), 1u);
  }
}

TEST(RocksDbErrorTest, AFailedRowWriteIsFatalToo) {
  RocksDbWorld world;
  std::unique_ptr<Store> store = MakeStore(world);
  ASSERT_TRUE(store->Write({Append(1, 1)}).ok());
  world.files().FailOnce(FaultKind::kAppend, ".log");
  EXPECT_FALSE(Apply(*store, 1, true).ok());
  EXPECT_EQ(world.fatal_errors().size(), 1u);
}

TEST(RocksDbErrorTest, AFailedFlushInTheBackgroundIsFatal) {
  RocksDbWorld world;
  world.options().body_memtable_bytes = 64 << 10;
  std::unique_ptr<Store> store = MakeStore(world);
  world.files().FailOnce(FaultKind::kSync, ".blob");
  LogIndex index = 1;
  while (world.fatal_errors().empty() && index < 10'000) {
    if (!store->Write({Append(index, 1)}).ok()) break;
    ++index;
  }
  ASSERT_EQ(world.fatal_errors().size(), 1u);
  EXPECT_FALSE(store->Write({Append(index, 1)}).ok());
}

TEST(RocksDbErrorTest, AWitnessThatCannotBeWrittenIsFatal) {
  RocksDbWorld world;
  std::unique_ptr<Store> store = MakeStore(world);
  world.files().FailOnce(FaultKind::kSync, "witness.new");
  EXPECT_FALSE(store->Write({Append(1, 1)}).ok());  // The term changes: a witness is due.
  EXPECT_EQ(world.fatal_errors().size(), 1u);
}

TEST(RocksDbWitnessTest, AStoreThatLostSyncedWritesIsRefused) {
  RocksDbWorld world;
  std::unique_ptr<Store> store = MakeStore(world);
  ASSERT_TRUE(store->Write({Append(1, 1)}).ok());
  store.reset();
  const std::filesystem::path copy = world.folder() + ".copy";
  std::filesystem::copy(world.folder(), copy, std::filesystem::copy_options::recursive);
  store = *world.Open();
  ASSERT_TRUE(store->Write({Append(2, 1)}).ok());
  ASSERT_TRUE(store->Witness().ok());
  store.reset();
  // An old state of the disk comes back under the new witness.
  std::filesystem::copy_file(world.folder() + "/witness", copy / "witness",
                             std::filesystem::copy_options::overwrite_existing);
  std::filesystem::remove_all(world.folder());
  std::filesystem::rename(copy, world.folder());
  auto reopened = world.Open();
  EXPECT_EQ(reopened.status().code(), absl::StatusCode::kDataLoss) << reopened.status();
}

TEST(RocksDbWitnessTest, AMissingWitnessIsLossToo) {
  RocksDbWorld world;
  MakeStore(world).reset();
  std::filesystem::remove(world.folder() + "/witness");
  EXPECT_EQ(world.Open().status().code(), absl::StatusCode::kDataLoss);
}

TEST(RocksDbWitnessTest, ItIsWrittenAtVotesAndOnceAnInterval) {
  RocksDbWorld world;
  std::unique_ptr<Store> store = MakeStore(world);
  const auto witness = [&] {
    std::ifstream file(world.folder() + "/witness", std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  // Each witness names another write, so a new one differs.
  const auto writes = [&](const LogWrite& write) {
    const std::string before = witness();
    EXPECT_TRUE(store->Write({write}).ok());
    return witness() != before;
  };
  EXPECT_TRUE(writes(Append(1, 1, 1)));
  EXPECT_FALSE(writes(Append(2, 1, 1)));
  EXPECT_TRUE(writes(Append(3, 1, 2)));
  world.clock().Advance(absl::Milliseconds(999));
  EXPECT_FALSE(writes(Append(4, 1, 2)));
  world.clock().Advance(absl::Milliseconds(1));
  EXPECT_TRUE(writes(Append(5, 1, 2)));
}

// The load of a node goes by these figures: while its disk writes witnesses, it is not idle.
TEST(RocksDbCountersTest, WaitingForTheWitnessIsWaitingForTheDisk) {
  RocksDbWorld world;
  std::vector<absl::Duration> running;
  std::unique_ptr<Store> store;
  world.files().SetOnSync([&] {
    world.clock().Advance(absl::Milliseconds(1500));
    if (store) running.push_back(store->Counters().sync_running);
  });
  store = MakeStore(world);
  running.clear();
  const StoreCounters before = store->Counters();
  EXPECT_TRUE(store->Write({Append(1, 1)}).ok());
  // The log, and the witness, for the term is new; the witness's folder takes no time here.
  EXPECT_EQ(running, std::vector<absl::Duration>(2, absl::Milliseconds(1500)));
  const StoreCounters after = store->Counters();
  EXPECT_EQ(after.syncs - before.syncs, 1u);
  EXPECT_EQ(after.sync_time - before.sync_time, absl::Milliseconds(1500));
  EXPECT_EQ(after.witness_syncs - before.witness_syncs, 2u);
  EXPECT_EQ(after.sync_running, absl::ZeroDuration());
  store.reset();  // Its last syncs ask no store.
}

LogWrite InstallAt(const StateInstall& filled, LogIndex index) {
  LogWrite write;
  write.group = kGroup;
  write.hard_state = HardState{2, kNode, index};
  write.install = LogWrite::Install{filled.generation(), index, 2, Seed().conf_state, 0};
  return write;
}

TEST(RocksDbInstallTest, RowsOfATryThatACrashEndedAreGarbageAndTheirNumberIsNotUsedAgain) {
  RocksDbWorld world;
  std::unique_ptr<Store> store = MakeStore(world);
  ASSERT_TRUE(store->Write({Append(1, 2)}).ok());
  ASSERT_TRUE(Apply(*store, 1, false).ok());
  uint64_t given_up = 0;
  {
    auto install = store->BeginInstall(kGroup);
    given_up = (*install)->generation();
    ASSERT_TRUE((*install)->PutRows({{"given up", "row"}}).ok());
    EXPECT_FALSE(store->GarbagePending(kGroup));  // A crash ends it here as well.
  }
  store.reset();
  EXPECT_EQ(RowsByGeneration(world.folder(), kGroup).size(), 2u);
  store = *world.Open();
  EXPECT_TRUE(store->GarbagePending(kGroup));
  EXPECT_GT((*store->BeginInstall(kGroup))->generation(), given_up);
  store.reset();
  EXPECT_EQ(RowsByGeneration(world.folder(), kGroup).size(), 1u);
}

TEST(RocksDbInstallTest, GarbageOfATryAloneTakesRowsAndNoBodies) {
  RocksDbWorld world;
  std::unique_ptr<Store> store = MakeStore(world);
  ASSERT_TRUE(store->Write({Append(1, 2)}).ok());
  ASSERT_TRUE(Apply(*store, 1, false).ok());
  ASSERT_TRUE((*store->BeginInstall(kGroup))->PutRows({{"given up", "row"}}).ok());
  store.reset();
  store = *world.Open();
  ASSERT_TRUE(store->GarbagePending(kGroup));
  EXPECT_TRUE(*store->CollectGarbage(kGroup, kNoneAlive, 1));
  EXPECT_FALSE(store->GarbagePending(kGroup));
  EXPECT_TRUE(store->ReadBody(BodyKey{kGroup, 1, 1, 0}).ok());
  EXPECT_EQ(*store->Reader(kGroup)->Get("applied"), "1");
  store.reset();
  EXPECT_EQ(RowsByGeneration(world.folder(), kGroup).size(), 1u);
}

TEST(RocksDbInstallTest, OldGenerationsLeaveTheDisk) {
  RocksDbWorld world;
  std::unique_ptr<Store> store = MakeStore(world);
  ASSERT_TRUE(store->Write({Append(1, 2)}).ok());
  ASSERT_TRUE(Apply(*store, 1, false).ok());
  for (LogIndex index = 10; index < 13; ++index) {
    auto install = store->BeginInstall(kGroup);
    ASSERT_TRUE((*install)->PutRows({{"a", "row"}, {"b", "row"}}).ok());
    ASSERT_TRUE(store->Write({InstallAt(**install, index)}).ok());
    if (index < 12) continue;  // The garbage of all is collected at once.
    EXPECT_TRUE(*store->CollectGarbage(kGroup, kNoneAlive, 100));
  }
  store.reset();
  const std::map<uint64_t, int> rows = RowsByGeneration(world.folder(), kGroup);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows.begin()->second, 2);
}

TEST(RocksDbPowerTest, RowsThatNoSyncCoveredAreLostAndTheLogIsNot) {
  RocksDbWorld world;
  std::unique_ptr<Store> store = MakeStore(world);
  ASSERT_TRUE(store->Write({Append(1, 2)}).ok());
  ASSERT_TRUE(Apply(*store, 1, true).ok());
  store.reset();
  world.CutPower();
  store = *world.Open();
  EXPECT_EQ(store->LoadGroup(kGroup)->applied, 0u);
  EXPECT_EQ(store->LoadGroup(kGroup)->last, 2u);
  EXPECT_TRUE(store->ReadBody(BodyKey{kGroup, 1, 1, 0}).ok());
}

TEST(RocksDbLockTest, ASecondOpenerIsToldWhoHasIt) {
  RocksDbWorld world;
  std::unique_ptr<Store> store = MakeStore(world);
  auto second = world.Open();
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition) << second.status();
  EXPECT_NE(second.status().ToString().find("in use by another holdfastd"), std::string::npos);
}

// Changes records below the store's feet, through RocksDB itself, so that its own checksums hold.
class Vandal {
 public:
  explicit Vandal(const std::string& folder) {
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (const char* name : {"default", "meta", "log", "body", "state"}) {
      families.emplace_back(name, rocksdb::ColumnFamilyOptions());
    }
    rocksdb::Status status =
        rocksdb::DB::Open(rocksdb::DBOptions(), folder, families, &handles_, &db_);
    EXPECT_TRUE(status.ok()) << status.ToString();
  }
  ~Vandal() {
    for (rocksdb::ColumnFamilyHandle* handle : handles_) db_->DestroyColumnFamilyHandle(handle);
    delete db_;
  }
  // Gives the value to `change`; nullopt back deletes it.
  template <typename Change>
  void At(int family, const std::string& key, Change change) {
    std::string value;
    ASSERT_TRUE(db_->Get(rocksdb::ReadOptions(), handles_[family], key, &value).ok());
    std::optional<std::string> changed = change(value);
    const rocksdb::WriteOptions options;
    ASSERT_TRUE((changed ? db_->Put(options, handles_[family], key, *changed)
                         : db_->Delete(options, handles_[family], key))
                    .ok());
  }
  static constexpr int kMeta = 1, kLog = 2, kBody = 3;
  static std::optional<std::string> FlipBit(std::string value) {
    value[value.size() / 2] ^= 1;
    return value;
  }

 private:
  rocksdb::DB* db_ = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
};

TEST(RocksDbDamageTest, ABodyWithAFlippedBitIsNeverGiven) {
  RocksDbWorld world;
  std::unique_ptr<Store> store = MakeStore(world);
  ASSERT_TRUE(store->Write({Append(1, 2)}).ok());
  store.reset();
  Vandal(world.folder())
      .At(Vandal::kBody, BodyDiskKey(1, BodyKey{kGroup, 1, 1, 0}), Vandal::FlipBit);
  store = *world.Open();
  EXPECT_EQ(store->ReadBody(BodyKey{kGroup, 1, 1, 0}).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(store->ReadBody(BodyKey{kGroup, 2, 1, 0}).ok());
}

TEST(RocksDbDamageTest, DamagedOrMissingHeadersAreFoundWhenOpening) {
  const auto gone = [](const std::string&) { return std::optional<std::string>(); };
  for (int damage = 0; damage < 2; ++damage) {
    RocksDbWorld world;
    std::unique_ptr<Store> store = MakeStore(world);
    ASSERT_TRUE(store->Write({Append(1, 3)}).ok());
    store.reset();
    if (damage == 0) Vandal(world.folder()).At(Vandal::kLog, LogKey(kGroup, 2), Vandal::FlipBit);
    if (damage == 1) Vandal(world.folder()).At(Vandal::kLog, LogKey(kGroup, 2), gone);
    EXPECT_EQ(world.Open().status().code(), absl::StatusCode::kDataLoss);
  }
}

TEST(RocksDbDamageTest, DamagedMetaRecordsAreFoundWhenOpening) {
  for (MetaKind kind : {MetaKind::kHardState, MetaKind::kConfState, MetaKind::kTruncated,
                        MetaKind::kApplied, MetaKind::kReplica, MetaKind::kGeneration}) {
    RocksDbWorld world;
    MakeStore(world).reset();
    Vandal(world.folder()).At(Vandal::kMeta, MetaKey(kind, kGroup), Vandal::FlipBit);
    EXPECT_EQ(world.Open().status().code(), absl::StatusCode::kDataLoss) << static_cast<char>(kind);
  }
}

TEST(RocksDbDamageTest, ADamagedRecordOfGarbageIsFoundWhenOpening) {
  RocksDbWorld world;
  std::unique_ptr<Store> store = MakeStore(world);
  ASSERT_TRUE(store->Write({InstallAt(**store->BeginInstall(kGroup), 5)}).ok());
  store.reset();
  Vandal(world.folder()).At(Vandal::kMeta, MetaKey(MetaKind::kGarbage, kGroup), Vandal::FlipBit);
  EXPECT_EQ(world.Open().status().code(), absl::StatusCode::kDataLoss);
}

TEST(RocksDbVersionTest, AStoreOfAnotherFormatIsLeftAlone) {
  for (const uint32_t format : {kStoreFormat + 1, kStoreFormat - 1}) {
    RocksDbWorld world;
    MakeStore(world).reset();
    Vandal(world.folder())
        .At(Vandal::kMeta, MetaKey(MetaKind::kIdentity), [format](std::string value) {
          value.resize(value.size() - 4);
          value[1] = static_cast<char>(format);
          AppendLittleEndian(Crc32c(value), 4, value);
          return std::optional<std::string>(value);
        });
    EXPECT_EQ(world.Open().status().code(), absl::StatusCode::kUnimplemented);
  }
}

TEST(RocksDbSpaceTest, FreeSpaceIsThatOfTheFileSystem) {
  RocksDbWorld world;
  std::unique_ptr<Store> store = MakeStore(world);
  auto free = store->FreeBytes();
  ASSERT_TRUE(free.ok());
  const auto space = std::filesystem::space(world.folder());
  EXPECT_GT(*free, space.available / 2);
  EXPECT_LT(*free, space.capacity);
}

}  // namespace
}  // namespace holdfast::raft
