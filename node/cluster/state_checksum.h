// node/cluster/state_checksum.h
// A checksum of all rows of one replica at one moment: replicas that have applied the same entries
// must have the same one. What a node keeps for itself (marks of elided bodies, crash notes) is no
// row and not counted; neither are bodies, which have checksums of their own.
// Threads: pure; reads the view's files on the caller's thread.
// Limits:  kReadBytes of rows in memory.
#pragma once

#include <cstdint>
#include <functional>

#include "base/status.h"
#include "raft/storage/store.h"

namespace holdfast::node {

struct StateChecksum {
  raft::LogIndex applied{};
  raft::Term applied_term{};
  uint64_t rows = 0;
  uint32_t crc32c = 0;  // Over key, value and their lengths, row by row in key order.

  bool operator==(const StateChecksum&) const = default;
};

// Reads the view to its end. `give_up` is asked between slices: kDeadlineExceeded when it says
// true. kDataLoss: a damaged row.
absl::StatusOr<StateChecksum> ChecksumOf(raft::StateView& view,
                                         const std::function<bool()>& give_up);

}  // namespace holdfast::node
