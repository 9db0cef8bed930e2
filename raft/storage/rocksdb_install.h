// raft/storage/rocksdb_install.h
// The RocksDB store's side of snapshots: a view of rows to send, a generation of rows to fill in,
// and the removal of what an install left behind. Private to raft/storage: includes rocksdb.
// Threads, errors: see store.h.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "raft/storage/rocksdb_engine.h"
#include "raft/storage/store.h"

namespace holdfast::raft {

// The rows under `prefix` as they are now.
std::unique_ptr<StateView> NewRocksDbView(std::shared_ptr<Engine> engine, std::string prefix,
                                          StateView::Mark mark);

// What installs of one group left behind; shared with each of them.
struct GarbageMarks {
  // Bodies of entries up to here are to be looked through (MetaKind::kGarbage); 0: none.
  std::atomic<LogIndex> bodies_to{0};
  // Rows of generations behind the one in use, up to this one, belong to nobody.
  std::atomic<uint64_t> abandoned_to{0};
};

// Removes what earlier tries left between the generation in use and the new one.
absl::StatusOr<std::unique_ptr<StateInstall>> NewRocksDbInstall(
    std::shared_ptr<Engine> engine, GroupId group, uint64_t incarnation, uint64_t in_use,
    uint64_t generation, std::shared_ptr<GarbageMarks> marks);

struct GarbageRound {
  GroupId group;
  uint64_t incarnation = 0;
  uint64_t generation = 0;    // In use.
  uint64_t abandoned_to = 0;  // Higher ones up to here are garbage too.
  LogIndex bodies_to{};       // Bodies of entries up to here are looked at; 0: none, not yet.
  std::string cursor;         // In and out: disk key to go on from; empty: from the beginning.
};

// Store::CollectGarbage(): one round; true: the last one, and the record of the bodies
// looked at is gone too.
absl::StatusOr<bool> CollectRocksDbGarbage(Engine& engine, const std::vector<BodyKey>& live,
                                           size_t steps_max, GarbageRound& round);

}  // namespace holdfast::raft
