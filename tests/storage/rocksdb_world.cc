#include "tests/storage/rocksdb_world.h"

#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <cstdlib>
#include <filesystem>

#include "base/check.h"
#include "raft/storage/store_keys.h"

namespace holdfast::raft {

RocksDbWorld::RocksDbWorld()
    : files_(std::make_shared<FaultFileSystem>()),
      env_(rocksdb::NewCompositeEnv(files_)),
      clock_(absl::UnixEpoch()) {
  // In memory where possible: what a crash leaves is decided by the FaultFileSystem, and hundreds
  // of reopened stores would otherwise wait for the disk.
  std::error_code missing;
  const bool has_memory = std::filesystem::is_directory("/dev/shm", missing);
  std::string folder =
      (has_memory ? std::string("/dev/shm") : testing::TempDir()) + "/holdfast-store-XXXXXX";
  HOLDFAST_CHECK(mkdtemp(folder.data()) != nullptr) << folder;
  options_ = StoreOptions::ForTests(folder + "/store");
  options_.env = env_.get();
  options_.clock = &clock_;
  options_.fatal = [this](const std::string& what, bool /*no_space*/) {
    MutexLock lock(mutex_);
    fatal_errors_.push_back(what);
  };
}

RocksDbWorld::~RocksDbWorld() {
  std::error_code ignored;  // Leftovers in a temporary folder harm nobody.
  std::filesystem::remove_all(std::filesystem::path(options_.directory).parent_path(), ignored);
}

absl::StatusOr<std::unique_ptr<Store>> RocksDbWorld::Create(const StoreIdentity& identity,
                                                            const std::vector<GroupSeed>& groups) {
  return CreateStore(options_, identity, groups);
}

absl::StatusOr<std::unique_ptr<Store>> RocksDbWorld::Open() { return OpenStore(options_); }

std::vector<std::string> RocksDbWorld::fatal_errors() const {
  MutexLock lock(mutex_);
  return fatal_errors_;
}

void DamageBody(const std::string& folder, const BodyKey& key, BodyDamage damage) {
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const char* name : {"default", "meta", "log", "body", "state"}) {
    families.emplace_back(name, rocksdb::ColumnFamilyOptions());
  }
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* opened = nullptr;
  rocksdb::Status status =
      rocksdb::DB::Open(rocksdb::DBOptions(), folder, families, &handles, &opened);
  HOLDFAST_CHECK(status.ok()) << status.ToString();
  const std::unique_ptr<rocksdb::DB> db(opened);
  const std::string disk_key = BodyDiskKey(1, key);
  std::string value;
  status = db->Get(rocksdb::ReadOptions(), handles[3], disk_key, &value);
  HOLDFAST_CHECK(status.ok()) << status.ToString();
  value.back() = static_cast<char>(value.back() ^ 1);
  rocksdb::WriteOptions options;
  options.sync = true;
  status = damage == BodyDamage::kMissing ? db->Delete(options, handles[3], disk_key)
                                          : db->Put(options, handles[3], disk_key, value);
  HOLDFAST_CHECK(status.ok()) << status.ToString();
  for (rocksdb::ColumnFamilyHandle* handle : handles) db->DestroyColumnFamilyHandle(handle);
}

std::map<uint64_t, int> RowsByGeneration(const std::string& folder, GroupId group) {
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const char* name : {"default", "state"}) {
    families.emplace_back(name, rocksdb::ColumnFamilyOptions());
  }
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* opened = nullptr;
  rocksdb::Status status =
      rocksdb::DB::OpenForReadOnly(rocksdb::DBOptions(), folder, families, &handles, &opened);
  HOLDFAST_CHECK(status.ok()) << status.ToString();
  const std::unique_ptr<rocksdb::DB> db(opened);
  std::map<uint64_t, int> counts;
  std::unique_ptr<rocksdb::Iterator> rows(db->NewIterator(rocksdb::ReadOptions(), handles[1]));
  for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
    GroupId found;
    uint64_t generation = 0;
    HOLDFAST_CHECK(ParseStateKey(rows->key().ToString(), found, generation));
    if (found == group) ++counts[generation];
  }
  EXPECT_TRUE(rows->status().ok()) << rows->status().ToString();
  rows.reset();
  for (rocksdb::ColumnFamilyHandle* handle : handles) db->DestroyColumnFamilyHandle(handle);
  return counts;
}

std::unique_ptr<StoreWorld> MakeRocksDbWorld() { return std::make_unique<RocksDbWorld>(); }

}  // namespace holdfast::raft
