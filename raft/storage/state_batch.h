// raft/storage/state_batch.h
// The rows of a state machine. Every group has an ordered table of rows (key bytes -> value bytes)
// that only its own state machine changes, through a StateBatch that also deletes bodies. A batch
// becomes visible and durable together with the applied index of the log, all or nothing.
//
// Rows are durable in log order, not at once: after a crash the table stands at some earlier
// applied index, and the entries behind it are applied again. State is therefore never ahead of the
// log.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "raft/storage/body_key.h"

namespace holdfast::raft {

// What a scan saw.
struct ScanEnd {
  size_t rows = 0;
  // True when every row of the range was visited; false when `rows_max` or the visitor ended it.
  bool complete = false;
};

// StateReader reads one group's rows.
// Threads: a reader from Store::Reader() is thread-safe and sees committed batches only; a
//          StateBatch belongs to the apply context.
// Errors:  kDataLoss for rows that can't be read or whose checksum is wrong. Absence is no error.
// Limits:  a scan visits at most `rows_max` rows; it sees one moment of the table. Keep it short: a
//          running scan pins the files and memtables it began with.
class StateReader {
 public:
  // Called for each row in ascending key order; the views die with the call. False ends the scan.
  using Visitor = std::function<bool(std::string_view key, std::string_view value)>;

  virtual ~StateReader() = default;

  // nullopt: no such row.
  virtual absl::StatusOr<std::optional<std::string>> Get(std::string_view key) const = 0;

  // Visits the rows with from <= key < to; an empty `to` means up to the last row.
  virtual absl::StatusOr<ScanEnd> Scan(std::string_view from, std::string_view to, size_t rows_max,
                                       const Visitor& visitor) const = 0;
};

// StateBatch collects changes for one group and reads through them: Get and Scan see what was Put
// or Deleted before in the same batch. Nothing is written until Store::CommitState().
// Threads:  owned by the apply context; thread-compatible.
// Lifetime: the store outlives it. Destroying it without a commit forgets the changes.
// Errors:   the first read error sticks, and CommitState() refuses the batch and ends the process
//           like a failed write: what was decided from unreadable rows must not become state.
// Limits:   memory grows with the changes; the host bounds how many entries share a batch. Keys are
//           at most kStateKeyBytesMax long (CHECK). A visitor must not change the batch it scans.
class StateBatch : public StateReader {
 public:
  virtual void Put(std::string_view key, std::string_view value) = 0;
  virtual void Delete(std::string_view key) = 0;

  // The body's life has ended. Of this batch's group (CHECK); deleting twice is allowed.
  virtual void DeleteBody(const BodyKey& key) = 0;

  virtual GroupId group() const = 0;
  // Bytes of changes held; what the host bounds.
  virtual size_t bytes() const = 0;
};

inline constexpr size_t kStateKeyBytesMax = 4096;

}  // namespace holdfast::raft
