// raft/core/log_view.h
// LogView is the core's window on what is already durable: the log's entries, the state that the
// previous run left, the newest snapshot. The core reads through it at once and never writes; what
// it wants written leaves in AppendTasks.
//
// The view must show a write at the latest when its AppendDone() is called, and may show it
// earlier; until then the core answers from its own unstable entries. Calls are frequent
// (replication reads entries here), so answer from memory where possible. Bodies may come without
// bytes.
// Threads: called by the owner of the core, from inside the core's methods.
// Errors:  kOutOfRange means "compacted away", a normal event that leads to a snapshot. A view that
//          meets a damaged or failing disk must end the process itself: any other error given to
//          the core is fatal there, because a node that can't read its own log must not vote.
#pragma once

#include <optional>
#include <vector>

#include "base/status.h"
#include "raft/core/raft_types.h"

namespace holdfast::raft {

class LogView {
 public:
  struct Initial {
    HardState hard_state;
    ConfState conf_state;
  };

  virtual ~LogView() = default;

  // What the previous run made durable. Asked once, by RaftCore's constructor. `conf_state` is the
  // configuration at the applied index.
  virtual Initial InitialState() const = 0;

  // The first entry that can be read: one behind the last compacted one. 1 for a new log.
  virtual LogIndex FirstIndex() const = 0;
  // The last durable entry; FirstIndex() - 1 when there is none.
  virtual LogIndex LastIndex() const = 0;

  // The term of an entry in [FirstIndex() - 1, LastIndex()]: the last compacted entry's term is
  // kept. nullopt outside. TermAt(0) is 0 for a log that was never compacted.
  virtual std::optional<Term> TermAt(LogIndex index) const = 0;

  // Entries with low <= index < high in order, at least one, stopping before their EncodedBytes()
  // pass `bytes_max`. Requires low < high <= LastIndex() + 1. kOutOfRange: low is compacted.
  virtual absl::StatusOr<std::vector<Entry>> Entries(LogIndex low, LogIndex high,
                                                     uint64_t bytes_max) const = 0;

  // The snapshot to send to a follower whose next entry is compacted: index, term and configuration
  // at or above FirstIndex() - 1. kUnavailable: not now, try again later.
  virtual absl::StatusOr<Snapshot> LatestSnapshot() const = 0;
};

}  // namespace holdfast::raft
