// tests/storage/rocksdb_world.h
// A RocksDB store in a folder of its own, on a FaultFileSystem, for tests. Fatal errors are noted
// instead of ending the process.
#pragma once

#include <rocksdb/env.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "raft/storage/rocksdb_store.h"
#include "tests/storage/fault_file_system.h"
#include "tests/storage/store_contract.h"

namespace holdfast::raft {

class RocksDbWorld final : public StoreWorld {
 public:
  RocksDbWorld();
  ~RocksDbWorld() override;  // Removes the folder.

  absl::StatusOr<std::unique_ptr<Store>> Create(const StoreIdentity& identity,
                                                const std::vector<GroupSeed>& groups) override;
  absl::StatusOr<std::unique_ptr<Store>> Open() override;
  void CutPower() override { files().LoseUnsynced(UnsyncedTail::kGone); }

  FaultFileSystem& files() { return *files_; }
  StoreOptions& options() { return options_; }
  ManualClock& clock() { return clock_; }
  const std::string& folder() const { return options_.directory; }
  // What StoreOptions::fatal was called with.
  std::vector<std::string> fatal_errors() const;

 private:
  std::shared_ptr<FaultFileSystem> files_;
  std::unique_ptr<rocksdb::Env> env_;
  ManualClock clock_;
  StoreOptions options_;
  mutable Mutex mutex_;
  std::vector<std::string> fatal_errors_ ABSL_GUARDED_BY(mutex_);
};

// Flips a bit of a body in a closed store, through RocksDB itself, so that its own checksums hold;
// or removes it. Of the replica's first incarnation.
enum class BodyDamage { kFlippedBit, kMissing };
void DamageBody(const std::string& folder, const BodyKey& key,
                BodyDamage damage = BodyDamage::kFlippedBit);

// How many rows a closed store holds for the group, by generation: also what nobody sees.
std::map<uint64_t, int> RowsByGeneration(const std::string& folder, GroupId group);

// For INSTANTIATE_TEST_SUITE_P.
std::unique_ptr<StoreWorld> MakeRocksDbWorld();

}  // namespace holdfast::raft
