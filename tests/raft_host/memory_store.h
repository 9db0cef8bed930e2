// tests/raft_host/memory_store.h
// A Store without a disk, for tests of what stands above it: everything is durable at once, and a
// MemoryDisk outlives its stores as a disk outlives processes. It checks the rules that a store may
// check: one install of a group at a time, nothing applied twice, no gap in the log.
// Threads: thread-safe, one lock for everything.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "raft/storage/store.h"

namespace holdfast::raft {

struct MemoryDisk {
  using Rows = std::map<std::string, std::string, std::less<>>;
  struct Group {
    GroupRecord record;
    Term applied_term = 0;
    std::map<LogIndex, Entry> log;
    std::map<uint64_t, Rows> generations;
    uint64_t generation = 1;  // In use.
    uint64_t newest_generation = 1;
    bool installing = false;
    LogIndex garbage_through = 0;  // 0: none is pending.
    std::map<BodyKey, Body> bodies;

    Rows& rows() { return generations[generation]; }
  };

  Mutex mutex;
  StoreIdentity identity;
  std::map<GroupId, Group> groups;
};

// As RocksDbWorld.
class MemoryWorld {
 public:
  absl::StatusOr<std::unique_ptr<Store>> Create(const StoreIdentity& identity,
                                                const std::vector<GroupSeed>& groups);
  absl::StatusOr<std::unique_ptr<Store>> Open();
  void CutPower() {}

 private:
  std::shared_ptr<MemoryDisk> disk_ = std::make_shared<MemoryDisk>();
};

}  // namespace holdfast::raft
