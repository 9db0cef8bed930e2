// raft/storage/rocksdb_engine.h
// What the parts of the RocksDB store share: the open database with its families, and the latch
// that remembers the first failure. Private to raft/storage: includes rocksdb. Threads: thread-safe
// (RocksDB is). Lifetime: shared by the store and its readers, so that a late reader can't outlive
// the database.
#pragma once

#include <rocksdb/db.h>
#include <rocksdb/statistics.h>
#include <rocksdb/utilities/write_batch_with_index.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "raft/storage/rocksdb_store.h"
#include "raft/storage/state_batch.h"

namespace holdfast::raft {

// Remembers that the environment failed once; from then on nothing may be promised.
class FailureLatch {
 public:
  explicit FailureLatch(std::function<void(const std::string&, bool)> fatal)
      : fatal_(std::move(fatal)) {}

  // Calls `fatal` at the first failure only.
  void Fail(const std::string& what);
  bool failed() const { return failed_.load(std::memory_order_acquire); }

 private:
  const std::function<void(const std::string&, bool)> fatal_;
  std::atomic<bool> failed_{false};
};

struct Engine {
  std::shared_ptr<FailureLatch> latch;
  std::shared_ptr<rocksdb::Statistics> statistics;
  rocksdb::Env* env = nullptr;  // For files of our own; the database has watched_env.
  std::unique_ptr<rocksdb::Env> watched_env;
  // Until then a failed write is a failed start, and no fatal one.
  std::shared_ptr<std::atomic<bool>> opened = std::make_shared<std::atomic<bool>>(false);
  std::string directory;
  rocksdb::DB* db = nullptr;
  rocksdb::ColumnFamilyHandle* standard = nullptr;  // RocksDB insists on it; nothing is kept there.
  rocksdb::ColumnFamilyHandle* meta = nullptr;
  rocksdb::ColumnFamilyHandle* log = nullptr;
  rocksdb::ColumnFamilyHandle* body = nullptr;
  rocksdb::ColumnFamilyHandle* state = nullptr;

  Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine();

  // One batch into the WAL and the memtables, without a sync. Fails the latch when it fails.
  absl::Status Write(rocksdb::WriteBatch& batch, std::string_view what);
  // Everything written before is on disk when this returns OK. Fails the latch when it fails.
  absl::Status Sync(std::string_view what);
  absl::Status Failed() const;

  // nullopt when the key is absent.
  absl::StatusOr<std::optional<std::string>> Get(rocksdb::ColumnFamilyHandle* family,
                                                 std::string_view key) const;
};

// True when the directory holds a database, whatever is in it.
absl::StatusOr<bool> EngineExists(const StoreOptions& options);

// Opens or makes the database. kNotFound unless `create`.
absl::StatusOr<std::shared_ptr<Engine>> OpenEngine(const StoreOptions& options, bool create);

// A StateReader over what is committed, in the generation that `generation` names at each call.
std::unique_ptr<StateReader> NewRocksDbReader(
    std::shared_ptr<Engine> engine, GroupId group,
    std::shared_ptr<const std::atomic<uint64_t>> generation);

// A StateBatch of the RocksDB store.
class RocksDbBatch final : public StateBatch {
 public:
  RocksDbBatch(std::shared_ptr<Engine> engine, GroupId group, uint64_t incarnation,
               uint64_t generation);

  absl::StatusOr<std::optional<std::string>> Get(std::string_view key) const override;
  absl::StatusOr<ScanEnd> Scan(std::string_view from, std::string_view to, size_t rows_max,
                               const Visitor& visitor) const override;
  void Put(std::string_view key, std::string_view value) override;
  void Delete(std::string_view key) override;
  void DeleteBody(const BodyKey& key) override;
  GroupId group() const override { return group_; }
  uint64_t generation() const { return generation_; }
  size_t bytes() const override;

  // The first read error, if there was one.
  const absl::Status& read_status() const { return read_status_; }
  rocksdb::WriteBatchWithIndex& changes() { return changes_; }

 private:
  std::string RowKey(std::string_view key) const;

  const std::shared_ptr<Engine> engine_;
  const GroupId group_;
  const uint64_t incarnation_;
  const uint64_t generation_;
  const std::string prefix_;
  // Reading through a batch changes its caches, but not what it says.
  mutable rocksdb::WriteBatchWithIndex changes_;
  mutable absl::Status read_status_;
};

}  // namespace holdfast::raft
