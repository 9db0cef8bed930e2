// raft/storage/rocksdb_store.h
// The Store on RocksDB: one database, one write-ahead log (WAL), column families meta, log, body
// and state (see store.h; keys in store_keys.h, records in store_records.h).
//
// A body byte is written once, to the WAL. It reaches a blob file only if it outlives the body
// memtables: memtables that hold both a body and its deletion flush neither. So the memtables are
// large, and with them the WAL and the time to replay it (about 6 s per GiB): one budget.
//
// WAL recovery is point-in-time: replay ends before the first damaged record. The stricter mode
// refuses to open after a torn, never acknowledged tail, which every power cut may leave (one
// zeroed page within the last record is enough). The price is that damage to *acknowledged* records
// at the tail looks the same; so a witness file (witness.h) names the last synced write, and a
// store that comes back with less is refused. Damage in closed, synced WAL files is found by
// RocksDB itself (track_and_verify_wals_in_manifest), as is a family that is ahead of the WAL.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "raft/storage/store.h"

namespace rocksdb {
class Env;
}

namespace holdfast::raft {

struct StoreOptions {
  std::string directory;

  // At most 4 body memtables of 256 MiB; a flush merges two or more of them.
  uint64_t body_memtable_bytes = uint64_t{256} << 20;
  int body_memtables_max = 4;
  int body_memtables_merged = 2;
  uint64_t log_memtable_bytes = uint64_t{64} << 20;
  uint64_t state_memtable_bytes = uint64_t{64} << 20;
  uint64_t meta_memtable_bytes = uint64_t{8} << 20;
  // Beyond this the oldest families are flushed. More than all memtables together, or small
  // families that flush seldom would drive the body family's flushes.
  uint64_t wal_bytes_max = uint64_t{1536} << 20;

  uint64_t blob_bytes_min = 2048;  // Smaller bodies stay within the sorted files.
  uint64_t blob_file_bytes = uint64_t{64} << 20;
  uint64_t block_cache_bytes = uint64_t{256} << 20;
  int open_files_max = 1024;
  int background_jobs_max = 2;

  // How old the witness may be while writes go on.
  absl::Duration witness_interval = absl::Seconds(1);

  // Called once, with words for people, at the first failed write, sync or flush, and whether it
  // failed for want of space. Must not return in production; empty means DieOfEnvironment(). Called
  // on any thread.
  std::function<void(const std::string&, bool no_space)> fatal;

  // Tests put faulty files here. Null: the system's. Both outlive the store.
  rocksdb::Env* env = nullptr;
  const Clock* clock = nullptr;

  // Small memtables and files, for tests.
  static StoreOptions ForTests(std::string directory);
};

// 32 hexadecimal digits from the kernel.
std::string NewClusterId();

// True when the directory holds a store. False also for what a crash left of a creation: nothing
// was promised by it, and CreateStore() finishes it. True too where OpenStore() fails for another
// reason. kUnavailable: the file system refused.
absl::StatusOr<bool> StoreExists(const StoreOptions& options);

// Makes a store in an empty or missing directory and opens it. The groups appear with it, all or
// none. Finishes a creation that a crash cut short. kAlreadyExists: there is a store already.
absl::StatusOr<std::unique_ptr<Store>> CreateStore(const StoreOptions& options,
                                                   const StoreIdentity& identity,
                                                   const std::vector<GroupSeed>& groups);

// Opens what CreateStore made, and verifies every header from the applied index on.
//   kNotFound            no store here; CreateStore() is an explicit decision
//   kFailedPrecondition  in use by another process
//   kUnimplemented       written by a newer build
//   kDataLoss            damaged, or older than its witness: this replica must not vote
//   kResourceExhausted   there is no space to open it; nothing is wrong with it
//   kUnavailable         the file system refused
absl::StatusOr<std::unique_ptr<Store>> OpenStore(const StoreOptions& options);

}  // namespace holdfast::raft
