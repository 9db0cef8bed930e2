// The gate on write amplification: bytes that the store writes (WAL, flushes, compactions) for each
// byte of body accepted. Sizes are those of production divided by 64, with the same ratio of
// memtables to the bytes that live at one time.
#include <gtest/gtest.h>

#include <cstdio>
#include <deque>

#include "base/random.h"
#include "tests/storage/rocksdb_world.h"
#include "tests/storage/store_contract.h"

namespace holdfast::raft {
namespace {

constexpr GroupId kGroup{1};

class BytesWrittenTest : public testing::Test {
 protected:
  BytesWrittenTest() {
    GroupSeed seed;
    seed.group = kGroup;
    seed.conf_state.voters = {NodeId(1)};
    world_.options().body_memtable_bytes = 4 << 20;
    world_.options().wal_bytes_max = 24 << 20;
    world_.options().blob_file_bytes = 1 << 20;
    store_ = *world_.Create({"00112233445566778899aabbccddeeff", NodeId(1)}, {seed});
  }

  // A message of 4 to 28 KiB arrives: entry, body, row.
  LogIndex Accept() {
    LogWrite write;
    write.group = kGroup;
    write.hard_state = HardState{1, NodeId(1), last_};
    Entry entry;
    entry.index = ++last_;
    entry.term = 1;
    entry.command = std::string(300, 'c');
    std::string bytes;
    const uint64_t size = random_.Between(4 << 10, 28 << 10);
    while (bytes.size() < size) bytes.push_back(static_cast<char>(random_.Next()));
    entry.bodies = {MakePayload(std::move(bytes))};
    write.entries.push_back(std::move(entry));
    EXPECT_TRUE(store_->Write({write}).ok());
    ApplyRow(last_, /*arrives=*/true);
    return last_;
  }
  // It is delivered: its own small entry, and the end of body and row.
  void Deliver(LogIndex index) { ApplyRow(index, /*arrives=*/false); }

  void ApplyRow(LogIndex index, bool arrives) {
    std::unique_ptr<StateBatch> batch = store_->NewStateBatch(kGroup);
    const std::string key = holdfast::format("{:020}", index);
    if (arrives) {
      batch->Put(key, std::string(300, 'r'));
    } else {
      batch->Delete(key);
      batch->DeleteBody(BodyKey{kGroup, index, 1, 0});
    }
    EXPECT_TRUE(store_->CommitState(std::move(batch), AppliedMark{last_, 1, std::nullopt}).ok());
    if (last_ % 512 == 0 && last_ > 1024) {
      LogWrite truncation;
      truncation.group = kGroup;
      truncation.truncate_before = last_ - 512;
      truncation.must_sync = false;
      EXPECT_TRUE(store_->Write({truncation}).ok());
    }
  }

  double BytesPerBodyByte() const {
    const StoreCounters counters = store_->Counters();
    const double written = static_cast<double>(counters.wal_bytes + counters.flush_bytes +
                                               counters.compaction_bytes_written);
    const double ratio = written / static_cast<double>(counters.body_bytes_written);
    std::printf(
        "body %.1f MB: WAL %.3f, flush %.3f, compaction %.3f, all %.3f\n",
        static_cast<double>(counters.body_bytes_written) / 1e6,
        static_cast<double>(counters.wal_bytes) / counters.body_bytes_written,
        static_cast<double>(counters.flush_bytes) / counters.body_bytes_written,
        static_cast<double>(counters.compaction_bytes_written) / counters.body_bytes_written,
        ratio);
    return ratio;
  }

  RocksDbWorld world_;
  std::unique_ptr<Store> store_;
  Random random_{1};
  LogIndex last_ = 0;
};

constexpr int kMessages = 8000;  // About 128 MB.

TEST_F(BytesWrittenTest, MailThatIsDeliveredSoonIsWrittenOnce) {
  std::deque<LogIndex> queue;
  for (int i = 0; i < kMessages; ++i) {
    queue.push_back(Accept());
    if (queue.size() <= 32) continue;  // In production: 32 MiB, 5 s of 400 messages/s.
    Deliver(queue.front());
    queue.pop_front();
  }
  EXPECT_LE(BytesPerBodyByte(), 1.25);
  EXPECT_GE(BytesPerBodyByte(), 1.0);  // Else the counters don't count.
}

TEST_F(BytesWrittenTest, ATenthDeferredForLongCostsLittleMoreAndItsSpaceComesBack) {
  std::deque<LogIndex> queue;
  std::deque<LogIndex> deferred;
  for (int i = 0; i < kMessages; ++i) {
    queue.push_back(Accept());
    if (queue.size() > 64) {
      (i % 10 == 0 ? deferred.push_back(queue.front()) : Deliver(queue.front()));
      queue.pop_front();
    }
    if (deferred.size() > 300) {
      Deliver(deferred.front());
      deferred.pop_front();
    }
  }
  EXPECT_LE(BytesPerBodyByte(), 2.3);
  for (LogIndex index : queue) {
    EXPECT_TRUE(store_->ReadBody(BodyKey{kGroup, index, 1, 0}).ok());
  }
  for (LogIndex index : deferred) {
    EXPECT_TRUE(store_->ReadBody(BodyKey{kGroup, index, 1, 0}).ok());
  }
}

}  // namespace
}  // namespace holdfast::raft
