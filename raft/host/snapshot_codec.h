// raft/host/snapshot_codec.h
// What a replica asks for when it pulls a snapshot, and the records of the answer, as bytes
// (proto/snapshot.proto).
// Threads: pure functions; cutter and joiner belong to one thread at a time.
// Errors:  kInvalidArgument: not ours, or it breaks a rule. kResourceExhausted: over a bound.
//          kUnimplemented: newer than this build.
// Limits:  SnapshotLimits, checked before memory is taken for what they count.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"
#include "base/strong_id.h"
#include "raft/storage/body_key.h"
#include "raft/storage/store.h"

namespace holdfast::raft {

struct SnapshotLimits {
  uint32_t keys_max = 256;
  uint32_t waiting_groups_max = 1024;
  uint32_t nodes_max = 1024;  // In each list of a configuration.
  uint64_t record_bytes_max = uint64_t{16} << 20;
};

// Groups' rows, then their bodies; see snapshot_pull.h.
struct RowsRequest {
  GroupId group;
};
// All keys are of `group`; at least one.
struct BodiesRequest {
  GroupId group;
  std::vector<BodyKey> keys;
  bool mending = false;
};
struct WaitingRequest {
  std::vector<GroupId> groups;
};
using SnapshotRequest = std::variant<RowsRequest, BodiesRequest, WaitingRequest>;

std::string EncodeSnapshotRequest(const SnapshotRequest& request);
absl::StatusOr<SnapshotRequest> DecodeSnapshotRequest(std::string_view bytes,
                                                      const SnapshotLimits& limits);

// `position` is that of the key in the request.
struct BodyRecord {
  uint32_t position = 0;
  std::string bytes;
};
struct ElidedRecord {
  uint32_t position = 0;
  LogIndex by = 0;
};
struct EndRecord {};
using SnapshotRecord =
    std::variant<StateView::Mark, std::vector<StateView::Row>, BodyRecord, ElidedRecord, EndRecord>;

// Cuts a stream of records into pieces.
class RecordCutter {
 public:
  void Add(const SnapshotRecord& record);
  uint64_t waiting_bytes() const { return waiting_.size() - taken_; }
  // At most `bytes_max`; empty when nothing waits.
  std::string Take(uint64_t bytes_max);

 private:
  std::string waiting_;
  size_t taken_ = 0;  // Of waiting_.
};

// Joins pieces to records again.
class RecordJoiner {
 public:
  explicit RecordJoiner(const SnapshotLimits& limits) : limits_(limits) {}

  // After an error the stream can't go on.
  absl::Status Feed(std::string_view piece);
  // nullopt: more pieces are needed.
  absl::StatusOr<std::optional<SnapshotRecord>> Next();
  // No part of a record waits for its rest.
  bool AtBoundary() const { return waiting_.size() == taken_; }

 private:
  const SnapshotLimits limits_;
  std::string waiting_;
  size_t taken_ = 0;
};

}  // namespace holdfast::raft
