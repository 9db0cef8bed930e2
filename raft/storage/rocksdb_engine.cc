#include "raft/storage/rocksdb_engine.h"

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.h"
#include "raft/storage/rocksdb_status.h"
#include "raft/storage/watched_files.h"

namespace holdfast::raft {
namespace {

constexpr char kMetaFamily[] = "meta";
constexpr char kLogFamily[] = "log";
constexpr char kBodyFamily[] = "body";
constexpr char kStateFamily[] = "state";

// A flush or compaction that fails is as bad as a failed write: what it carried may already have
// been acknowledged, and its WAL would be dropped by a later success.
class ErrorListener final : public rocksdb::EventListener {
 public:
  explicit ErrorListener(std::shared_ptr<FailureLatch> latch) : latch_(std::move(latch)) {}

  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* status) override {
    latch_->Fail(holdfast::format("the store failed in the background ({}): {}",
                                  static_cast<int>(reason), status->ToString()));
  }

 private:
  const std::shared_ptr<FailureLatch> latch_;
};

rocksdb::DBOptions DatabaseOptions(const StoreOptions& options,
                                   const std::shared_ptr<Engine>& engine, bool create) {
  rocksdb::DBOptions out;
  out.env = engine->watched_env.get();
  out.create_if_missing = create;
  out.create_missing_column_families = create;
  out.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  out.track_and_verify_wals_in_manifest = true;
  out.max_bgerror_resume_count =
      0;  // No retry behind our back: the first failure ends the process.
  out.paranoid_checks = true;
  out.max_total_wal_size = options.wal_bytes_max;
  out.max_open_files = options.open_files_max;
  out.max_background_jobs = options.background_jobs_max;
  out.bytes_per_sync = 1 << 20;  // Spreads the write-back of big flushes.
  out.stats_dump_period_sec = 0;
  out.keep_log_file_num = 4;
  out.max_log_file_size = 16 << 20;
  out.statistics = engine->statistics;
  out.listeners.push_back(std::make_shared<ErrorListener>(engine->latch));
  return out;
}

rocksdb::ColumnFamilyOptions FamilyOptions(uint64_t memtable_bytes,
                                           const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.cache_index_and_filter_blocks = true;  // So that the cache bounds their memory too.
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.format_version = 5;
  rocksdb::ColumnFamilyOptions out;
  out.write_buffer_size = memtable_bytes;
  out.compression = rocksdb::kNoCompression;
  out.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return out;
}

rocksdb::ColumnFamilyOptions BodyFamilyOptions(const StoreOptions& options,
                                               const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions out = FamilyOptions(options.body_memtable_bytes, cache);
  out.max_write_buffer_number = options.body_memtables_max;
  out.min_write_buffer_number_to_merge = options.body_memtables_merged;
  out.enable_blob_files = true;
  out.min_blob_size = options.blob_bytes_min;
  out.blob_file_size = options.blob_file_bytes;
  // A queue's bodies die in any order and soon: the default cutoff (a quarter of the files) leaves
  // most of the dead bytes on disk.
  out.enable_blob_garbage_collection = true;
  out.blob_garbage_collection_age_cutoff = 1.0;
  out.blob_garbage_collection_force_threshold = 0.5;
  return out;
}

std::vector<rocksdb::ColumnFamilyDescriptor> Families(const StoreOptions& options) {
  std::shared_ptr<rocksdb::Cache> cache = rocksdb::NewLRUCache(options.block_cache_bytes);
  return {
      {rocksdb::kDefaultColumnFamilyName, FamilyOptions(1 << 20, cache)},
      {kMetaFamily, FamilyOptions(options.meta_memtable_bytes, cache)},
      {kLogFamily, FamilyOptions(options.log_memtable_bytes, cache)},
      {kBodyFamily, BodyFamilyOptions(options, cache)},
      {kStateFamily, FamilyOptions(options.state_memtable_bytes, cache)},
  };
}

// A family that this build does not know was made by a newer one; one that is not there yet, by a
// creation that never finished.
absl::Status CheckFamilies(const rocksdb::DBOptions& database, const StoreOptions& options,
                           const std::vector<rocksdb::ColumnFamilyDescriptor>& known) {
  std::vector<std::string> names;
  rocksdb::Status listed = rocksdb::DB::ListColumnFamilies(database, options.directory, &names);
  HOLDFAST_RETURN_IF_ERROR(FromRocksDb(listed, "reading the families"));
  for (const std::string& name : names) {
    const bool is_known = std::any_of(known.begin(), known.end(),
                                      [&](const auto& family) { return family.name == name; });
    if (!is_known) {
      return MakeStatus(absl::StatusCode::kUnimplemented,
                        "{}: column family '{}' was written by a newer build", options.directory,
                        name);
    }
  }
  if (!database.create_missing_column_families && names.size() < known.size()) {
    return MakeStatus(absl::StatusCode::kNotFound, "the store {} was never finished",
                      options.directory);
  }
  return absl::OkStatus();
}

absl::Status OpenFailure(const rocksdb::Status& status, const std::string& directory) {
  // RocksDB has no code of its own for its lock file ("While lock file: .../LOCK: ...").
  if (status.IsIOError() && status.ToString().find("/LOCK") != std::string::npos) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      "the store {} is in use by another holdfastd ({})", directory,
                      status.ToString());
  }
  return FromRocksDb(status, holdfast::format("opening the store {}", directory));
}

}  // namespace

void FailureLatch::Fail(const std::string& what) {
  if (failed_.exchange(true, std::memory_order_acq_rel)) return;
  // Whichever layer saw it: this is what the system calls ENOSPC.
  const bool full = what.find("No space left on device") != std::string::npos;
  const std::string text = what + (full ? ": the disk is full" : "");
  if (fatal_) {
    fatal_(text, full);
  } else {
    DieOfEnvironment(text.c_str());
  }
}

Engine::~Engine() {
  if (db == nullptr) return;
  for (rocksdb::ColumnFamilyHandle* family : {standard, meta, log, body, state}) {
    if (family != nullptr) (void)db->DestroyColumnFamilyHandle(family);  // Can't fail: ours.
  }
  (void)db->Close();  // Without a sync, nothing can fail that matters here: see Store::Close().
  delete db;
}

absl::Status Engine::Failed() const {
  return MakeStatus(absl::StatusCode::kUnavailable, "the store {} has failed before", directory);
}

absl::Status Engine::Write(rocksdb::WriteBatch& batch, std::string_view what) {
  if (latch->failed()) return Failed();
  rocksdb::Status status = db->Write(rocksdb::WriteOptions(), &batch);
  if (status.ok()) return absl::OkStatus();
  absl::Status failure = FromRocksDb(status, what);
  latch->Fail(holdfast::format("the store {} failed: {}", directory, holdfast::Message(failure)));
  return failure;
}

absl::Status Engine::Sync(std::string_view what) {
  if (latch->failed()) return Failed();
  rocksdb::Status status = db->SyncWAL();
  // A background failure during the sync means that what it covered can't be trusted either.
  if (status.ok()) return latch->failed() ? Failed() : absl::OkStatus();
  absl::Status failure = FromRocksDb(status, what);
  latch->Fail(holdfast::format("the store {} failed: {}", directory, holdfast::Message(failure)));
  return failure;
}

absl::StatusOr<std::optional<std::string>> Engine::Get(rocksdb::ColumnFamilyHandle* family,
                                                       std::string_view key) const {
  std::string value;
  rocksdb::Status status = db->Get(rocksdb::ReadOptions(), family, ToSlice(key), &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  HOLDFAST_RETURN_IF_ERROR(FromRocksDb(status, "reading the store"));
  return std::optional<std::string>(std::move(value));
}

absl::StatusOr<bool> EngineExists(const StoreOptions& options) {
  rocksdb::Env* env = options.env != nullptr ? options.env : rocksdb::Env::Default();
  rocksdb::Status status = env->FileExists(options.directory + "/CURRENT");
  if (status.IsNotFound()) return false;
  HOLDFAST_RETURN_IF_ERROR(FromRocksDb(status, options.directory));
  return true;
}

absl::StatusOr<std::shared_ptr<Engine>> OpenEngine(const StoreOptions& options, bool create) {
  auto engine = std::make_shared<Engine>();
  engine->latch = std::make_shared<FailureLatch>(options.fatal);
  engine->env = options.env != nullptr ? options.env : rocksdb::Env::Default();
  engine->directory = options.directory;
  engine->watched_env = WatchFiles(
      engine->env, [latch = engine->latch, opened = engine->opened](const std::string& what) {
        if (opened->load(std::memory_order_acquire)) latch->Fail("the store failed: " + what);
      });
  engine->statistics = rocksdb::CreateDBStatistics();
  engine->statistics->set_stats_level(rocksdb::StatsLevel::kExceptDetailedTimers);

  const rocksdb::DBOptions database = DatabaseOptions(options, engine, create);
  const std::vector<rocksdb::ColumnFamilyDescriptor> families = Families(options);
  HOLDFAST_ASSIGN_OR_RETURN(const bool exists, EngineExists(options));
  if (exists) HOLDFAST_RETURN_IF_ERROR(CheckFamilies(database, options, families));

  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::Status status =
      rocksdb::DB::Open(database, options.directory, families, &handles, &engine->db);
  if (!status.ok()) return OpenFailure(status, options.directory);
  engine->standard = handles[0];
  engine->meta = handles[1];
  engine->log = handles[2];
  engine->body = handles[3];
  engine->state = handles[4];
  engine->opened->store(true, std::memory_order_release);
  return engine;
}

}  // namespace holdfast::raft
