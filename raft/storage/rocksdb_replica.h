// raft/storage/rocksdb_replica.h
// What a RocksDB store keeps of one replica beside bodies and rows: its records in the meta family
// and its headers in the log family, read and verified. Private to raft/storage: includes rocksdb.
// Threads: functions of the engine; thread-safe as far as nobody writes what is read.
// Errors:  kDataLoss for what is missing, damaged or contradicts itself.
#pragma once

#include <rocksdb/iterator.h>

#include <string>

#include "raft/storage/rocksdb_engine.h"
#include "raft/storage/store.h"
#include "raft/storage/store_records.h"

namespace holdfast::raft {

// What the store knows of a replica and others need not.
inline constexpr uint64_t kFirstGeneration = 1;
struct ReplicaRows {
  uint64_t generation = kFirstGeneration;  // Of the rows in use.
  // The highest one that has rows, or is in use: higher ones were abandoned.
  uint64_t newest_generation = kFirstGeneration;
  LogIndex garbage_to{};  // See MetaKind::kGarbage; 0: there is none.
};

// The records that a replica is born with, into `batch`.
void SeedReplica(const Engine& engine, const GroupSeed& seed, rocksdb::WriteBatch& batch);

absl::StatusOr<GroupRecord> ReadReplica(const Engine& engine, GroupId group);
absl::StatusOr<ReplicaRows> ReadReplicaRows(const Engine& engine, GroupId group);

// Every header from the applied index on is there and whole.
absl::Status VerifyHeaders(const Engine& engine, const GroupRecord& record);

// The header that `headers` stands at, which must be entry `index`.
absl::StatusOr<LogHeader> HeaderAt(const rocksdb::Iterator& headers, GroupId group, LogIndex index);
absl::StatusOr<LogHeader> ReadHeader(const Engine& engine, GroupId group, LogIndex index);

}  // namespace holdfast::raft
