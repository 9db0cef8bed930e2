// raft/storage/rocksdb_log.h
// What a LogWrite changes in a RocksDB store: each function adds its changes to a batch, and to
// `record`, which is the replica as it will be once the batch is written. Private to raft/storage:
// includes rocksdb.
// Threads: the storage context.
// Errors:  from reading the headers that are to go: kDataLoss, kUnavailable. A record that the
//          change doesn't fit to fails a CHECK.
#pragma once

#include <rocksdb/write_batch.h>

#include "raft/storage/rocksdb_engine.h"
#include "raft/storage/store.h"

namespace holdfast::raft {

// A body, under the checksum of its bytes.
void PutBody(const Engine& engine, uint64_t incarnation, const BodyKey& key,
             const std::string& bytes, uint32_t crc32c, rocksdb::WriteBatch& batch);

// The header and the bodies that came with it. Answers the bytes of these bodies.
uint64_t PutEntry(const Engine& engine, const GroupRecord& record, const Entry& entry,
                  rocksdb::WriteBatch& batch);

// Removes the entries from `from` on with their bodies, which lost against a newer leader's. May
// write the batch as it is, and go on with an empty one.
absl::Status DropTail(Engine& engine, const GroupRecord& record, LogIndex from,
                      rocksdb::WriteBatch& batch);

// Removes the headers before `before`.
absl::Status DropFront(const Engine& engine, GroupRecord& record, LogIndex before,
                       rocksdb::WriteBatch& batch);

void RaiseElided(const Engine& engine, GroupRecord& record, LogIndex to,
                 rocksdb::WriteBatch& batch);

// LogWrite::install, apart from the commit index. May write the batch as it is, like DropTail();
// what it adds of its own stays together. `garbage_to`: see MetaKind::kGarbage.
absl::Status PutInstall(Engine& engine, GroupRecord& record, const LogWrite::Install& install,
                        LogIndex garbage_to, rocksdb::WriteBatch& batch);

}  // namespace holdfast::raft
