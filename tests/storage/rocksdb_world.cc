#include "tests/storage/rocksdb_world.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/check.h"

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

std::unique_ptr<StoreWorld> MakeRocksDbWorld() { return std::make_unique<RocksDbWorld>(); }

}  // namespace holdfast::raft
