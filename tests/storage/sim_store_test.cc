// The store contract on the simulated store, and the faults that it can be given.
#include "tests/storage/sim_store.h"

#include <gtest/gtest.h>

#include "base/crc32c.h"
#include "tests/storage/store_contract.h"

namespace holdfast::raft {
namespace {

class SimWorld final : public StoreWorld {
 public:
  SimWorld() { options_.clock = &clock_; }

  absl::StatusOr<std::unique_ptr<Store>> Create(const StoreIdentity& identity,
                                                const std::vector<GroupSeed>& groups) override {
    return CreateSimStore(disk_, options_, identity, groups);
  }
  absl::StatusOr<std::unique_ptr<Store>> Open() override { return OpenSimStore(disk_, options_); }
  void CutPower() override { disk_.CutPower(/*kept=*/0); }
  bool has_threads() const override { return false; }

 private:
  ManualClock clock_{absl::UnixEpoch()};
  SimDisk disk_;
  SimStoreOptions options_;
};

std::unique_ptr<StoreWorld> MakeSimWorld() { return std::make_unique<SimWorld>(); }

INSTANTIATE_TEST_SUITE_P(Sim, StoreContractTest, testing::Values(&MakeSimWorld));
INSTANTIATE_TEST_SUITE_P(Sim, StoreInstallTest, testing::Values(&MakeSimWorld));

constexpr GroupId kGroup{3};

class SimStoreTest : public testing::Test {
 protected:
  SimStoreTest() {
    options_.clock = &clock_;
    options_.fatal = [this](const std::string&) { ++fatal_calls_; };
  }

  void Create() {
    GroupSeed seed;
    seed.group = kGroup;
    seed.conf_state.voters = {NodeId(7)};
    auto store = CreateSimStore(disk_, options_, {"cluster", NodeId(7)}, {seed});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  // One entry with a body that names it.
  static LogWrite Entry(LogIndex index, Term term, bool must_sync = true) {
    LogWrite write;
    write.group = kGroup;
    write.hard_state = HardState{term, NodeId(7), 0};
    write.must_sync = must_sync;
    raft::Entry entry;
    entry.index = index;
    entry.term = term;
    entry.command = CommandOf(index, term);
    entry.bodies.push_back(MakePayload(BodyOf(index, term)));
    write.entries.push_back(std::move(entry));
    return write;
  }
  static std::string BodyOf(LogIndex index, Term term) {
    return holdfast::format("body of {} in {}", index, term);
  }
  absl::Status Commit(LogIndex applied) {
    std::unique_ptr<StateBatch> batch = store_->NewStateBatch(kGroup);
    batch->Put("applied", std::to_string(applied));
    batch->DeleteBody(BodyKey{kGroup, applied, 1, 0});
    AppliedMark mark;
    mark.index = applied;
    mark.term = 1;
    return store_->CommitState(std::move(batch), mark);
  }

  SimDisk disk_;
  ManualClock clock_{absl::UnixEpoch()};
  SimStoreOptions options_;
  int fatal_calls_ = 0;
  std::unique_ptr<Store> store_;
};

// Writes, rows and a replaced tail, with the power cut at each step: before it takes effect, after
// it, and with each prefix of what was not synced.
TEST_F(SimStoreTest, ACrashAtEveryStepLosesNothingAcknowledgedAndTearsNothing) {
  for (uint64_t step = 0; step < 40; ++step) {
    for (const bool takes_effect : {false, true}) {
      for (size_t kept = 0; kept < 4; ++kept) {
        disk_ = SimDisk();
        Create();
        disk_.FailAt(step, takes_effect);
        LogIndex acknowledged = 0;
        for (LogIndex index = 1; index <= 6; ++index) {
          if (!store_->Write({Entry(index, 1)}).ok()) break;
          acknowledged = index;
          if (!Commit(index).ok() || !store_->Write({Entry(index + 1, 1, false)}).ok()) break;
        }
        store_.reset();
        disk_.CutPower(std::min(kept, disk_.unsynced()));
        auto opened = OpenSimStore(disk_, options_);
        ASSERT_TRUE(opened.ok()) << opened.status() << " at step " << step;
        const GroupRecord record = *(*opened)->LoadGroup(kGroup);
        EXPECT_GE(record.last, acknowledged);
        EXPECT_GE(record.last, record.applied);
        for (LogIndex index = 1; index <= record.last; ++index) {
          const auto body = (*opened)->ReadBody(BodyKey{kGroup, index, 1, 0});
          if (index <= record.applied) {
            EXPECT_EQ(body.status().code(), absl::StatusCode::kNotFound) << index;
          } else {
            ASSERT_TRUE(body.ok()) << body.status();
            EXPECT_EQ(**body, BodyOf(index, 1));
          }
        }
        const auto row = (*opened)->Reader(kGroup)->Get("applied");
        ASSERT_TRUE(row.ok());
        EXPECT_EQ(row->value_or("0"), std::to_string(record.applied));
      }
    }
  }
}

TEST_F(SimStoreTest, AReplacedTailIsOldOrNewAfterACrash) {
  bool old_seen = false;
  bool new_seen = false;
  for (uint64_t step = 0; step < 5; ++step) {
    for (size_t kept = 0; kept < 4; ++kept) {
      disk_ = SimDisk();
      Create();
      ASSERT_TRUE(store_->Write({Entry(1, 1), Entry(2, 1)}).ok());
      disk_.FailAt(step, /*takes_effect=*/true);
      (void)store_->Write({Entry(3, 1), Entry(2, 2)});
      store_.reset();
      disk_.CutPower(std::min(kept, disk_.unsynced()));
      auto opened = OpenSimStore(disk_, options_);
      ASSERT_TRUE(opened.ok()) << opened.status();
      const bool old_there = (*opened)->ReadBody(BodyKey{kGroup, 2, 1, 0}).ok();
      const bool new_there = (*opened)->ReadBody(BodyKey{kGroup, 2, 2, 0}).ok();
      EXPECT_NE(old_there, new_there);
      EXPECT_EQ((*(*opened)->ReadEntries(kGroup, 2, 3, 1))[0].term, old_there ? 1u : 2u);
      old_seen |= old_there;
      new_seen |= new_there;
    }
  }
  EXPECT_TRUE(old_seen && new_seen);
}

TEST_F(SimStoreTest, TheFirstFailedStepIsTheLastThing) {
  Create();
  disk_.FailAt(1, /*takes_effect=*/false);  // The sync.
  EXPECT_FALSE(store_->Write({Entry(1, 1)}).ok());
  EXPECT_EQ(store_->Write({Entry(2, 1)}).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Commit(1).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(store_->Witness().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(store_->Close().ok());
  EXPECT_EQ(fatal_calls_, 1);
}

TEST_F(SimStoreTest, AStoreThatLostSyncedWritesIsRefused) {
  Create();
  const SimImage earlier = disk_.durable();
  ASSERT_TRUE(store_->Write({Entry(1, 1)}).ok());  // The term changes: a witness is due.
  store_.reset();
  disk_.LoseSynced(earlier);
  EXPECT_EQ(OpenSimStore(disk_, options_).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(SimStoreTest, AMissingWitnessIsLossToo) {
  Create();
  store_.reset();
  disk_.LoseWitness();
  EXPECT_EQ(OpenSimStore(disk_, options_).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(SimStoreTest, TheWitnessIsWrittenAtVotesAndOnceAnInterval) {
  Create();
  ASSERT_TRUE(store_->Write({Entry(1, 1)}).ok());
  const uint64_t at_vote = *disk_.witness();
  ASSERT_TRUE(store_->Write({Entry(2, 1)}).ok());
  EXPECT_EQ(*disk_.witness(), at_vote);
  clock_.Advance(absl::Seconds(2));
  ASSERT_TRUE(store_->Write({Entry(3, 1)}).ok());
  EXPECT_GT(*disk_.witness(), at_vote);
  ASSERT_TRUE(store_->Write({Entry(4, 1)}).ok());
  const uint64_t before = *disk_.witness();
  ASSERT_TRUE(store_->Witness().ok());
  EXPECT_GT(*disk_.witness(), before);
}

TEST_F(SimStoreTest, ASyncThatFailedOnceEndsOneLife) {
  Create();
  disk_.FailSyncs(/*for_good=*/false);
  ASSERT_TRUE(store_->Write({Entry(1, 1, /*must_sync=*/false)}).ok());
  EXPECT_FALSE(store_->Write({Entry(2, 1)}).ok());
  EXPECT_EQ(store_->Write({Entry(3, 1)}).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(fatal_calls_, 1);
  store_.reset();
  disk_.CutPower(/*kept=*/0);
  auto opened = OpenSimStore(disk_, options_);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ((*opened)->LoadGroup(kGroup)->last, 0u);  // Nothing was synced.
  EXPECT_TRUE((*opened)->Write({Entry(1, 1)}).ok());
}

TEST_F(SimStoreTest, ADiskThatIsToFailOnceMayBeSpared) {
  Create();
  disk_.FailSyncs(/*for_good=*/false);
  disk_.DontFail();
  EXPECT_TRUE(store_->Write({Entry(1, 1)}).ok());
  EXPECT_EQ(fatal_calls_, 0);
}

TEST_F(SimStoreTest, SyncsThatFailForGoodEndEachLife) {
  Create();
  disk_.FailSyncs(/*for_good=*/true);
  for (int life = 0; life < 2; ++life) {
    EXPECT_FALSE(store_->Write({Entry(1, 1)}).ok());
    store_.reset();
    disk_.CutPower(/*kept=*/0);
    store_ = *OpenSimStore(disk_, options_);
  }
}

TEST_F(SimStoreTest, ADamagedRecordIsRefused) {
  Create();
  ASSERT_TRUE(store_->Write({Entry(1, 1)}).ok());
  store_.reset();
  disk_.DamageGroup(kGroup);
  EXPECT_EQ(OpenSimStore(disk_, options_).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(SimStoreTest, ABodyWithAFlippedBitIsNeverGiven) {
  Create();
  ASSERT_TRUE(store_->Write({Entry(1, 1)}).ok());
  const BodyKey key{kGroup, 1, 1, 0};
  ASSERT_TRUE(disk_.DamageBody(1, key).ok());
  EXPECT_EQ(store_->ReadBody(key).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace holdfast::raft
