// raft/storage/rocksdb_install.h
// The RocksDB store's side of snapshots: a view of rows to send, a generation of rows to fill in,
// and the removal of what an install left behind. Private to raft/storage: includes rocksdb.
// Threads, errors: see store.h.
#pragma once

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

// Removes what an earlier try left under `generation`.
absl::StatusOr<std::unique_ptr<StateInstall>> NewRocksDbInstall(std::shared_ptr<Engine> engine,
                                                                GroupId group, uint64_t incarnation,
                                                                uint64_t generation);

struct GarbageRound {
  GroupId group;
  uint64_t incarnation = 0;
  uint64_t generation = 0;  // In use.
  LogIndex bodies_to{};     // Bodies of entries up to here are looked at.
  std::string cursor;       // In and out: disk key to go on from; empty: from the beginning.
};

// Store::CollectGarbage(): one round; true: the last one, and the record of the garbage is gone
// too.
absl::StatusOr<bool> CollectRocksDbGarbage(Engine& engine, const std::vector<BodyKey>& live,
                                           size_t steps_max, GarbageRound& round);

}  // namespace holdfast::raft
