// raft/storage/rocksdb_status.h
// RocksDB's Status in the house's words; the only place where they are translated.
// Private to raft/storage: includes rocksdb. Threads: any.
#pragma once

#include <rocksdb/slice.h>
#include <rocksdb/status.h>

#include <string_view>

#include "base/status.h"

namespace holdfast::raft {

inline rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
inline std::string_view FromSlice(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

// Corruption is kDataLoss, a missing key kNotFound, a full disk kResourceExhausted, everything else
// kUnavailable: the environment.
inline absl::Status FromRocksDb(const rocksdb::Status& status, std::string_view what) {
  if (status.ok()) return absl::OkStatus();
  absl::StatusCode code = absl::StatusCode::kUnavailable;
  if (status.IsCorruption()) code = absl::StatusCode::kDataLoss;
  if (status.IsNotFound()) code = absl::StatusCode::kNotFound;
  if (status.IsNoSpace()) code = absl::StatusCode::kResourceExhausted;
  return MakeStatus(code, "{}: {}", what, status.ToString());
}

}  // namespace holdfast::raft
