// raft/storage/witness.h
// The witness is a small file beside the engine's own: the number of the newest write that is known
// to be synced. The engine keeps the same number in each batch. If a store opens with a smaller
// number than its witness names, it has lost writes that were promised to peers or clients, which a
// torn tail never is, and the store must not be used to vote or acknowledge.
//
// What the witness cannot see is loss newer than itself (at most StoreOptions::witness_interval of
// acknowledged writes): those are known to the other replicas.
// Threads: functions; one caller at a time.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "raft/storage/sync_meter.h"

namespace rocksdb {
class Env;
}

namespace holdfast::raft {

// Replaces the witness in `directory`, durably: old or new after a crash, nothing between. Its two
// waits for the disk, for the file and for the folder, count in `syncs`; null: nowhere.
absl::Status WriteWitness(rocksdb::Env& env, const std::string& directory, uint64_t durable_write,
                          SyncMeter* syncs);

// kNotFound, kDataLoss (damaged), kUnavailable (can't be read).
absl::StatusOr<uint64_t> ReadWitness(rocksdb::Env& env, const std::string& directory);

}  // namespace holdfast::raft
